-- Rows are added and never changed or removed; the exceptions are the state of a job and its lease.
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS pack (
    name TEXT NOT NULL, version TEXT NOT NULL, created REAL NOT NULL, PRIMARY KEY (name, version)
);
CREATE TABLE IF NOT EXISTS source (
    sha TEXT PRIMARY KEY, suffix TEXT NOT NULL, kind TEXT NOT NULL, code BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS submission (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    participant TEXT NOT NULL, problem TEXT NOT NULL, track TEXT NOT NULL,
    sha TEXT NOT NULL REFERENCES source (sha),
    file TEXT NOT NULL, submitted REAL NOT NULL, origin TEXT UNIQUE
);
CREATE TABLE IF NOT EXISTS job (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    submission INTEGER NOT NULL REFERENCES submission (id),
    state TEXT NOT NULL DEFAULT 'queued' CHECK (state IN ('queued', 'leased', 'done')),
    attempt INTEGER NOT NULL DEFAULT 0, worker TEXT, lease_until REAL, phase TEXT, seed_hash TEXT,
    -- The seed of a lease is kept until its run tells it.
    seed TEXT
);
CREATE INDEX IF NOT EXISTS waiting ON job (state, id);
CREATE TABLE IF NOT EXISTS run (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    job INTEGER NOT NULL UNIQUE REFERENCES job (id),
    submission INTEGER NOT NULL REFERENCES submission (id),
    version TEXT NOT NULL, machine TEXT NOT NULL, sandbox TEXT NOT NULL,
    verdict TEXT NOT NULL, phase TEXT NOT NULL, detail TEXT NOT NULL,
    seed_hash TEXT NOT NULL, seed TEXT NOT NULL,
    finished REAL NOT NULL, seconds REAL NOT NULL
);
CREATE TABLE IF NOT EXISTS sample (
    run INTEGER NOT NULL REFERENCES run (id), launch INTEGER NOT NULL, name TEXT NOT NULL,
    sizes TEXT NOT NULL, ours TEXT NOT NULL, theirs TEXT NOT NULL, PRIMARY KEY (run, launch, name)
);
-- The score of all samples of a kind of source up to a run: the newest counts.
CREATE TABLE IF NOT EXISTS score (
    run INTEGER PRIMARY KEY REFERENCES run (id),
    kind TEXT NOT NULL, problem TEXT NOT NULL, version TEXT NOT NULL, track TEXT NOT NULL,
    machine TEXT NOT NULL, estimate REAL NOT NULL, low REAL NOT NULL, high REAL NOT NULL,
    launches INTEGER NOT NULL, stable INTEGER NOT NULL, cases TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS machine (id TEXT PRIMARY KEY, description TEXT NOT NULL);
-- What a teacher decides; the newest row on a subject counts.
CREATE TABLE IF NOT EXISTS decision (
    id INTEGER PRIMARY KEY AUTOINCREMENT, decided REAL NOT NULL,
    subject TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL
);
CREATE VIEW IF NOT EXISTS decided AS
    SELECT subject, key, value FROM decision
    WHERE id IN (SELECT max(id) FROM decision GROUP BY subject, key);
-- The one ranking query: each participant's kinds of source with their newest pooled score.
CREATE VIEW IF NOT EXISTS ranking AS
    SELECT submission.problem, score.version, submission.track, score.machine, submission.participant,
        score.kind, min(submission.id) AS first, max(submission.id) AS last,
        score.estimate, score.low, score.high, score.launches, run.sandbox
    FROM submission
    JOIN source USING (sha)
    JOIN run AS own ON own.submission = submission.id
    JOIN score ON score.kind = source.kind AND score.problem = submission.problem
        AND score.track = submission.track AND score.version = own.version AND score.machine = own.machine
    JOIN run ON run.id = score.run
    WHERE own.verdict IN ('OK', 'UNSTABLE') AND own.sandbox NOT LIKE 'none%' AND score.stable = 1
        AND score.run = (
            SELECT max(newest.run) FROM score AS newest
            WHERE newest.kind = score.kind AND newest.problem = score.problem
                AND newest.track = score.track AND newest.version = score.version
                AND newest.machine = score.machine
        )
        AND submission.id NOT IN (
            SELECT CAST(key AS INTEGER) FROM decided WHERE subject = 'hidden' AND value = '1'
        )
        AND submission.participant NOT IN (
            SELECT key FROM decided WHERE subject = 'hidden participant' AND value = '1'
        )
        AND submission.submitted <= coalesce(
            (SELECT CAST(value AS REAL) FROM decided WHERE subject = 'deadline' AND key = submission.problem),
            submission.submitted
        )
    GROUP BY submission.problem, score.version, submission.track, score.machine, submission.participant,
        score.kind;
-- What was not taken from the inbox, and why; one row per state of a file.
CREATE TABLE IF NOT EXISTS notice (
    id INTEGER PRIMARY KEY AUTOINCREMENT, noticed REAL NOT NULL,
    participant TEXT NOT NULL, file TEXT NOT NULL, origin TEXT NOT NULL UNIQUE, reason TEXT NOT NULL
);
