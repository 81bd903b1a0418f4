"""Models from elsewhere: hub snapshots, names that a user gave to directories, and all that is wrong with one."""
