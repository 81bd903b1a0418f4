"""Where executors come from: processes of this host, forked from a warm server or spawned afresh.

local.py       LocalFleet: launch, stop, kill, and notice every exit at once
launchers.py   the two ways to start a process
forkserver.py  the warm server itself, a process of its own
child.py       what an executor process does before its target runs
tail.py        the last lines that a process wrote to stderr
"""
