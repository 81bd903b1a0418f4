"""Goal: what control keeps of a plan is what the plan says.

Method: the toy plans, against arithmetic by hand and against what is worked out without keeping.
"""

from brickwork.compiler.instance import resolve, shape_key, task_work
from brickwork.control.facts import MAX_SIZES, PlanFacts
from brickwork.core.request import Scalar
from support.plans import chain, fork


def values(steps: int, prompt: str = "a red circle") -> dict[str, Scalar]:
    return {"prompt": prompt, "start": 0, "steps": steps}


def test_the_critical_path_in_seconds() -> None:
    plan = fork()
    seconds = {task.name: 2.0**k for k, task in enumerate(plan.tasks)}
    paths_s = PlanFacts(plan).paths_s(seconds)
    for task in plan.tasks:
        followers = [other.name for other in plan.tasks if task.name in other.after]
        assert paths_s[task.name] == seconds[task.name] + max([paths_s[name] for name in followers], default=0.0)


def test_sizes_are_kept_by_what_decides_them_and_no_more_than_so_many() -> None:
    plan = chain()
    facts = PlanFacts(plan)
    first = facts.sizes(resolve(plan, values(4)))
    assert facts.sizes(resolve(plan, values(4, "a blue square"))) is first
    for steps in range(1, MAX_SIZES + 50):
        scalars = resolve(plan, values(steps))
        for task in plan.tasks:
            expected = (task_work(plan, task, scalars), shape_key(plan, task, scalars))
            assert facts.sizes(scalars)[task.name] == expected
    assert facts.sizes(resolve(plan, values(4))) is not first
