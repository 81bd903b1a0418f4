"""Goal: orders in two lanes give what orders one after the other would give, and loads go on beside runs.

Method: small histories whose threads are stepped by hand; then random histories with a real thread for each lane, held
against what carrying them out in order gives.
"""

import threading
from queue import Empty

from hypothesis import given, settings
from hypothesis import strategies as st

from brickwork.core.ids import ModelId
from brickwork.executor.lanes import Lanes, Ticket

A, B = ModelId("a"), ModelId("b")
PATIENCE_S = 60.0


def _free(ticket: Ticket[str]) -> bool:
    return all(event.is_set() for event in ticket.after)


def test_a_load_does_not_wait_for_a_run() -> None:
    lanes: Lanes[str] = Lanes()
    lanes.load("load a", A)
    lanes.memory.get().done.set()
    lanes.run("run a", [A])
    lanes.load("load b", B)
    assert _free(lanes.compute.get()), "its model is there"
    assert _free(lanes.memory.get()), "although a run is going on"


def test_a_run_waits_for_the_loads_that_it_needs_and_for_no_other() -> None:
    lanes: Lanes[str] = Lanes()
    lanes.load("load a", A)
    lanes.load("load b", B)
    lanes.run("run b", [B])
    first, second, run = lanes.memory.get(), lanes.memory.get(), lanes.compute.get()
    assert not _free(run)
    second.done.set()
    assert _free(run) and not first.done.is_set()


def test_an_unload_waits_for_the_runs_before_it_that_need_the_model() -> None:
    lanes: Lanes[str] = Lanes()
    lanes.run("run a", [A])
    lanes.unload("unload b", B)
    lanes.unload("unload a", A)
    lanes.run("run a again", [A])
    run, of_b, of_a = lanes.compute.get(), lanes.memory.get(), lanes.memory.get()
    assert _free(of_b) and not _free(of_a)
    run.done.set()
    assert _free(of_a), "the run after it does not count"


ORDERS = st.lists(st.tuples(st.sampled_from(["load", "unload", "run"]), st.sampled_from("abcd")), max_size=30)


@settings(max_examples=60, deadline=None)
@given(ORDERS)
def test_runs_find_what_they_would_find_if_orders_were_carried_out_in_order(orders: list[tuple[str, str]]) -> None:
    """Only histories that control may give: a loaded model is not loaded again, what is not loaded is not needed."""
    lanes: Lanes[tuple[str, str]] = Lanes()
    resident: set[str] = set()
    sane = []
    for kind, model in orders:
        if (kind == "load") != (model in resident):
            sane.append((kind, model))
            (resident.add if kind == "load" else resident.discard)(model) if kind != "run" else None
    truly: set[str] = set()
    missed: list[str] = []

    def compute() -> None:
        for _ in range(sum(kind == "run" for kind, _ in sane)):
            ticket = lanes.compute.get(timeout=PATIENCE_S)
            _, model = ticket.wait()
            if model not in truly:
                missed.append(model)
            ticket.done.set()

    def memory() -> None:
        for _ in range(sum(kind != "run" for kind, _ in sane)):
            ticket = lanes.memory.get(timeout=PATIENCE_S)
            kind, model = ticket.wait()
            (truly.add if kind == "load" else truly.discard)(model)
            ticket.done.set()

    threads = [threading.Thread(target=target, daemon=True) for target in (compute, memory)]
    for thread in threads:
        thread.start()
    for kind, model in sane:
        if kind == "run":
            lanes.run((kind, model), [ModelId(model)])
        elif kind == "load":
            lanes.load((kind, model), ModelId(model))
        else:
            lanes.unload((kind, model), ModelId(model))
    for thread in threads:
        thread.join(PATIENCE_S)
        assert not thread.is_alive(), "orders wait for each other"
    assert truly == resident and not missed
    for lane in (lanes.compute, lanes.memory):
        try:
            lane.get_nowait()
        except Empty:
            continue
        raise AssertionError("an order was left")
