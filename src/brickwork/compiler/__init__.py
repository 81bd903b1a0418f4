"""From graph to Plan: a short list of named passes, each verified before and after."""
