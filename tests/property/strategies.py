"""How Hypothesis draws what control meets: workflows that share models, requests, executors."""

from hypothesis import strategies as st

from support.plans import MIB, chain, controlled, fork, redraw

PLANS = {
    plan.workflow: plan
    for plan in (
        chain(),
        chain("shares-ends", dit="dit2"),  # shares text encoder and VAE with the first
        chain("large", text="text3", dit="dit3", vae="vae3", mib=3),  # fits no small executor
        fork(),
        fork("twins", dits=("dit", "dit")),  # two equal tasks in one request
        redraw(),
        controlled(),
    )
}

plan_names = st.sampled_from(sorted(PLANS))
steps = st.integers(1, 6)
deadlines_s = st.one_of(st.none(), st.floats(0.01, 5.0))
budgets = st.sampled_from([int(1.5 * MIB), int(2.5 * MIB), 8 * MIB])
pauses_s = st.floats(0.0, 0.2)
