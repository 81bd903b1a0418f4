-- What a job asked for beside its deadline, and what its latest attempt was given instead of what it asked for.

ALTER TABLE jobs ADD COLUMN if_late TEXT NOT NULL DEFAULT 'stop';   -- stop | continue
ALTER TABLE jobs ADD COLUMN degrade TEXT NOT NULL DEFAULT '[]';     -- JSON: [[input, least value], ...]
ALTER TABLE jobs ADD COLUMN lowered TEXT NOT NULL DEFAULT '[]';     -- JSON: [[input, value], ...]
