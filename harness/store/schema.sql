-- schema.sql — schema 1. Every later change is a migration of its own: schema_2.sql, …
--
-- Natural keys are content hashes (fp) and uuids, so that databases of several machines
-- can be merged. Units are SI or plain counts, named in metric.unit; NULL is "not
-- measured", 0 is a measured zero. Times are Unix milliseconds.

CREATE TABLE migration(
    version    INTEGER PRIMARY KEY,
    applied_ms INTEGER NOT NULL,
    tool       TEXT NOT NULL,
    sql_sha256 TEXT NOT NULL
) STRICT;

-- ---- where and what with -----------------------------------------------------

CREATE TABLE machine(
    id         INTEGER PRIMARY KEY,
    fp         TEXT NOT NULL UNIQUE,
    cpu        TEXT NOT NULL,
    arch       TEXT NOT NULL,
    sockets    INTEGER,
    cores      INTEGER,
    threads    INTEGER,
    l1d        INTEGER,          -- bytes
    l2         INTEGER,
    l3         INTEGER,
    ram        INTEGER,
    isa        TEXT,             -- widest kernel table that runs here
    hypervisor TEXT
) STRICT;

CREATE TABLE environment(
    id           INTEGER PRIMARY KEY,
    fp           TEXT NOT NULL UNIQUE,
    machine_id   INTEGER NOT NULL REFERENCES machine(id),
    kernel       TEXT,
    os           TEXT,
    libc         TEXT,
    microcode    TEXT,
    governor     TEXT,
    boost        INTEGER CHECK(boost IN (0, 1)),
    smt          INTEGER CHECK(smt IN (0, 1)),
    aslr         INTEGER,
    thp          TEXT,
    cgroup_quota REAL,           -- CPUs
    pmu          TEXT            -- 'hardware', 'software'
) STRICT;

CREATE TABLE build(
    id           INTEGER PRIMARY KEY,
    fp           TEXT NOT NULL UNIQUE,
    git_commit   TEXT,
    git_branch   TEXT,
    commit_ms    INTEGER,
    dirty        INTEGER CHECK(dirty IN (0, 1)),
    diff_sha256  TEXT,
    compiler     TEXT,
    cflags       TEXT,
    lib_sha256   TEXT,           -- of libnn.so as loaded
    tool_version TEXT NOT NULL,
    CHECK(dirty IS NOT 1 OR diff_sha256 IS NOT NULL)
) STRICT;

CREATE TABLE plugin(
    id        INTEGER PRIMARY KEY,
    name      TEXT NOT NULL,
    title     TEXT,
    year      INTEGER,
    abi_major INTEGER,
    abi_minor INTEGER,
    so_sha256 TEXT NOT NULL,     -- '' when the file could not be read
    UNIQUE(name, so_sha256)
) STRICT;

CREATE TABLE dataset(
    id          INTEGER PRIMARY KEY,
    name        TEXT NOT NULL,
    sha256      TEXT NOT NULL,   -- of the unpacked items
    path        TEXT,
    train_items INTEGER NOT NULL,
    test_items  INTEGER NOT NULL,
    synthetic   INTEGER NOT NULL CHECK(synthetic IN (0, 1)),
    UNIQUE(name, sha256)
) STRICT;

-- What is measured: a plugin's variant, later a kernel at a size.
CREATE TABLE benchmark(
    id      INTEGER PRIMARY KEY,
    kind    TEXT NOT NULL CHECK(kind IN ('train', 'eval', 'infer', 'kernel')),
    name    TEXT NOT NULL,
    variant TEXT NOT NULL,       -- '' while a run has not said which
    UNIQUE(kind, name, variant)
) STRICT;

-- What the paper, or another source, says of it.
CREATE TABLE published(
    benchmark_id INTEGER NOT NULL REFERENCES benchmark(id),
    metric       TEXT NOT NULL,
    dataset      TEXT NOT NULL,
    value        REAL NOT NULL,
    source       TEXT NOT NULL,
    PRIMARY KEY(benchmark_id, metric)
) STRICT, WITHOUT ROWID;

CREATE TABLE config(
    id   INTEGER PRIMARY KEY,
    fp   TEXT NOT NULL UNIQUE,
    body TEXT NOT NULL CHECK(json_valid(body))
) STRICT;

CREATE TABLE metric(
    id     INTEGER PRIMARY KEY,
    name   TEXT NOT NULL UNIQUE,
    unit   TEXT NOT NULL,        -- 's', 'B', '1', '1/s', '%'
    better INTEGER NOT NULL CHECK(better IN (-1, 0, 1)),
    assume TEXT NOT NULL CHECK(assume IN ('noisy', 'exact', 'stochastic')),
    about  TEXT
) STRICT;

INSERT INTO metric(name, unit, better, assume, about) VALUES
    ('step_s',           's',   -1, 'noisy',      'one training step, input to update'),
    ('samples_per_s',    '1/s',  1, 'noisy',      'training samples through warm steps'),
    ('time_s',           's',   -1, 'noisy',      'the whole training, evaluation included'),
    ('harness_s',        's',   -1, 'noisy',      'the worker outside steps and evaluation'),
    ('loss',             '1',   -1, 'stochastic', 'what the optimizer drives down, mean of an epoch'),
    ('params',           '1',    0, 'exact',      'trained scalars'),
    ('macs',             '1',    0, 'exact',      'multiply-adds, one sample, forward'),
    ('flops_step',       '1',    0, 'exact',      'floating-point operations of one training step'),
    ('bytes_step',       'B',   -1, 'exact',      'bytes read and written by one training step'),
    ('plan_bytes',       'B',   -1, 'exact',      'peak memory of the plan'),
    ('activation_bytes', 'B',   -1, 'exact',      'of it, activations'),
    ('parameter_bytes',  'B',   -1, 'exact',      'of it, parameters');

-- ---- runs --------------------------------------------------------------------

CREATE TABLE session(
    id         INTEGER PRIMARY KEY,
    uuid       TEXT NOT NULL UNIQUE,
    purpose    TEXT NOT NULL CHECK(purpose IN
                   ('run', 'compare', 'gate', 'calibrate', 'import', 'bisect')),
    argv       TEXT NOT NULL,    -- quoted for a shell
    env_id     INTEGER NOT NULL REFERENCES environment(id),
    build_id   INTEGER NOT NULL REFERENCES build(id),
    started_ms INTEGER NOT NULL,
    ended_ms   INTEGER,
    exit_code  INTEGER
) STRICT;

CREATE TABLE run(
    id           INTEGER PRIMARY KEY,
    uuid         TEXT NOT NULL UNIQUE,
    session_id   INTEGER NOT NULL REFERENCES session(id) ON DELETE CASCADE,
    benchmark_id INTEGER NOT NULL REFERENCES benchmark(id),
    plugin_id    INTEGER REFERENCES plugin(id),
    dataset_id   INTEGER REFERENCES dataset(id),   -- this and the next: NULL until planned
    config_id    INTEGER REFERENCES config(id),
    metric_id    INTEGER REFERENCES metric(id),    -- the plugin's quality
    seed         INTEGER,
    batch        INTEGER,
    threads      INTEGER,
    isa          TEXT,
    precision    TEXT,
    started_ms   INTEGER NOT NULL,
    ended_ms     INTEGER,
    status       TEXT NOT NULL CHECK(status IN ('ok', 'failed', 'crashed', 'timeout', 'oom',
                     'refused', 'interrupted', 'skipped', 'tainted')),
    reason       TEXT,
    signal       INTEGER,
    exit_code    INTEGER,
    epochs       INTEGER,        -- completed
    steps        INTEGER,
    rss_peak     INTEGER,        -- bytes
    ctx_invol    INTEGER,
    major_faults INTEGER
) STRICT;
CREATE INDEX run_series ON run(benchmark_id, dataset_id, status);
CREATE INDEX run_session ON run(session_id);

-- One number a run: how tells which ('plan', 'median', 'last', 'best', 'total').
CREATE TABLE value(
    run_id    INTEGER NOT NULL REFERENCES run(id) ON DELETE CASCADE,
    metric_id INTEGER NOT NULL REFERENCES metric(id),
    how       TEXT NOT NULL,
    value     REAL NOT NULL,
    n         INTEGER,           -- samples behind it
    mad       REAL,
    lo        REAL,              -- 95 % interval of a median
    hi        REAL,
    least     REAL,
    PRIMARY KEY(run_id, metric_id, how)
) STRICT, WITHOUT ROWID;

CREATE TABLE epoch(
    run_id  INTEGER NOT NULL REFERENCES run(id) ON DELETE CASCADE,
    epoch   INTEGER NOT NULL,    -- completed; from 1
    step    INTEGER NOT NULL,    -- total
    items   INTEGER NOT NULL,
    time_s  REAL NOT NULL,       -- since training began
    train_s REAL,                -- of this epoch
    eval_s  REAL,
    rate    REAL,                -- learning rate at its end
    PRIMARY KEY(run_id, epoch)
) STRICT, WITHOUT ROWID;

CREATE TABLE curve(
    run_id    INTEGER NOT NULL REFERENCES run(id) ON DELETE CASCADE,
    metric_id INTEGER NOT NULL REFERENCES metric(id),
    split     TEXT NOT NULL CHECK(split IN ('train', 'test')),
    epoch     INTEGER NOT NULL,
    value     REAL NOT NULL,
    PRIMARY KEY(run_id, metric_id, split, epoch)
) STRICT, WITHOUT ROWID;

-- Raw step times of one epoch, as little-endian 32-bit floats: a row a step would make the
-- database several times as large, with a thousand times as many rows, and nobody asks for
-- one step. A float keeps one part in 16 million, far below the noise of any step.
CREATE TABLE sample(
    id        INTEGER PRIMARY KEY,
    run_id    INTEGER NOT NULL REFERENCES run(id) ON DELETE CASCADE,
    metric_id INTEGER NOT NULL REFERENCES metric(id),
    epoch     INTEGER NOT NULL,
    warm      INTEGER NOT NULL,  -- how many at the front are warm-up
    n         INTEGER NOT NULL,
    data      BLOB NOT NULL CHECK(length(data) = 4 * n),
    UNIQUE(run_id, metric_id, epoch)
) STRICT;

CREATE TABLE layer(
    run_id INTEGER NOT NULL REFERENCES run(id) ON DELETE CASCADE,
    ix     INTEGER NOT NULL,     -- order of execution
    name   TEXT NOT NULL,        -- row of the paper's table
    op     TEXT NOT NULL,
    pass   TEXT NOT NULL CHECK(pass IN ('forward', 'backward', 'update', 'feed')),
    shape  TEXT,
    kernel TEXT,
    at     TEXT,                 -- file:line of the plugin
    macs   REAL,                 -- of one step, as all that follow
    flops  REAL,
    bytes  REAL,
    time_s REAL,                 -- mean
    PRIMARY KEY(run_id, ix)
) STRICT, WITHOUT ROWID;

-- ---- views: the stable interface for people with their own questions ------------

CREATE VIEW v_run AS
SELECT r.id, r.uuid, b.name AS plugin, b.variant, p.title, p.year, r.status, r.reason,
       r.started_ms, d.name AS dataset, d.synthetic, r.isa, r.precision, r.threads, r.batch,
       r.seed, r.epochs, r.steps, m.name AS metric,
       (SELECT value FROM value WHERE run_id = r.id AND metric_id = r.metric_id AND how = 'last') AS last,
       (SELECT value FROM value WHERE run_id = r.id AND metric_id = r.metric_id AND how = 'best') AS best,
       (SELECT v.value FROM value v JOIN metric k ON k.id = v.metric_id
         WHERE v.run_id = r.id AND k.name = 'params') AS params,
       (SELECT v.value FROM value v JOIN metric k ON k.id = v.metric_id
         WHERE v.run_id = r.id AND k.name = 'macs') AS macs,
       (SELECT v.value FROM value v JOIN metric k ON k.id = v.metric_id
         WHERE v.run_id = r.id AND k.name = 'step_s' AND v.how = 'median') AS step_s,
       (SELECT v.mad FROM value v JOIN metric k ON k.id = v.metric_id
         WHERE v.run_id = r.id AND k.name = 'step_s' AND v.how = 'median') AS step_mad_s,
       (SELECT v.value FROM value v JOIN metric k ON k.id = v.metric_id
         WHERE v.run_id = r.id AND k.name = 'samples_per_s') AS samples_per_s,
       (SELECT v.value FROM value v JOIN metric k ON k.id = v.metric_id
         WHERE v.run_id = r.id AND k.name = 'time_s') AS time_s,
       (SELECT v.value FROM value v JOIN metric k ON k.id = v.metric_id
         WHERE v.run_id = r.id AND k.name = 'plan_bytes') AS plan_bytes,
       (SELECT c.value FROM curve c JOIN metric k ON k.id = c.metric_id
         WHERE c.run_id = r.id AND k.name = 'loss' AND c.split = 'train'
         ORDER BY c.epoch DESC LIMIT 1) AS train_loss,
       (SELECT c.value FROM curve c JOIN metric k ON k.id = c.metric_id
         WHERE c.run_id = r.id AND k.name = 'loss' AND c.split = 'test'
         ORDER BY c.epoch DESC LIMIT 1) AS test_loss,
       u.value AS published, u.dataset AS published_dataset, u.source AS published_source,
       EXISTS(SELECT 1 FROM layer WHERE run_id = r.id) AS profiled
  FROM run r
  JOIN benchmark b ON b.id = r.benchmark_id
  LEFT JOIN plugin p ON p.id = r.plugin_id
  LEFT JOIN dataset d ON d.id = r.dataset_id
  LEFT JOIN metric m ON m.id = r.metric_id
  LEFT JOIN published u ON u.benchmark_id = r.benchmark_id AND u.metric = m.name;

-- The newest good run of each plugin, variant and dataset.
CREATE VIEW v_latest AS
SELECT max(id) AS id FROM run WHERE status = 'ok' GROUP BY benchmark_id, dataset_id;

-- One row per number: what exports and histories read.
CREATE VIEW v_series AS
SELECT b.kind, b.name AS plugin, b.variant, m.name AS metric, m.unit, m.better, v.how, v.value,
       v.n, v.mad, v.lo, v.hi, r.id AS run_id, r.started_ms, r.config_id, r.dataset_id,
       e.machine_id, g.git_commit, g.commit_ms
  FROM value v
  JOIN metric m ON m.id = v.metric_id
  JOIN run r ON r.id = v.run_id AND r.status = 'ok'
  JOIN benchmark b ON b.id = r.benchmark_id
  JOIN session s ON s.id = r.session_id
  JOIN environment e ON e.id = s.env_id
  JOIN build g ON g.id = s.build_id;
