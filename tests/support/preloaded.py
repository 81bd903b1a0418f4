"""A module for the forkserver to load before it forks."""
