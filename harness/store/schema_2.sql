-- schema_2.sql — schema 1 becomes 2: what disturbed a run, what was counted while it ran.

ALTER TABLE environment ADD COLUMN isolated  TEXT;  -- CPUs that the scheduler leaves alone: '2-3'
ALTER TABLE environment ADD COLUMN libraries TEXT CHECK(libraries IS NULL OR json_valid(libraries));
ALTER TABLE build       ADD COLUMN ldflags   TEXT;

-- A tainted run keeps its status: its losses are as good as any; its times are in doubt.
ALTER TABLE run ADD COLUMN tainted  TEXT;           -- why; NULL: nothing found
ALTER TABLE run ADD COLUMN steady   INTEGER CHECK(steady IN (0, 1)); -- NULL: too few steps to tell
ALTER TABLE run ADD COLUMN unsteady TEXT;           -- why steady is not 1

-- The noise ledger: while the timed steps ran, and only then. run.ctx_invol and run.major_faults
-- are of the whole worker.
CREATE TABLE ledger(
    run_id       INTEGER PRIMARY KEY REFERENCES run(id) ON DELETE CASCADE,
    steps        INTEGER NOT NULL,
    wall_s       REAL NOT NULL,
    cpu_s        REAL,              -- of the worker
    cpus         INTEGER,           -- that it might use
    steal_s      REAL,              -- taken from them by the hypervisor
    foreign_s    REAL,              -- used on them by other processes
    freq_min_hz  REAL,
    freq_max_hz  REAL,
    ctx_invol    INTEGER,
    minor_faults INTEGER,
    major_faults INTEGER,
    throttles    INTEGER,           -- thermal events
    heap_bytes   INTEGER            -- malloc'ed in the steps and kept
) STRICT;

-- Events over `steps` timed steps. value NULL: not counted, and reason says why.
-- running_ns < enabled_ns: multiplexed, value is an estimate.
CREATE TABLE counter(
    run_id     INTEGER NOT NULL REFERENCES run(id) ON DELETE CASCADE,
    region     TEXT NOT NULL,       -- 'steps', or an op: '3 C1 conv2d forward'
    event      TEXT NOT NULL,
    source     TEXT NOT NULL CHECK(source IN ('papi', 'perf', 'callgrind', 'rapl', 'rusage')),
    layer      INTEGER,             -- layer.ix of an op; NULL for 'steps'
    value      REAL,                -- energy in J, all else in counts
    reason     TEXT,
    enabled_ns INTEGER,
    running_ns INTEGER,
    steps      INTEGER NOT NULL,
    PRIMARY KEY(run_id, region, event, source),
    CHECK((value IS NULL) = (reason IS NOT NULL))
) STRICT, WITHOUT ROWID;

INSERT OR IGNORE INTO metric(name, unit, better, assume, about) VALUES
    ('energy_step_j', 'J',   -1, 'noisy', 'energy of packages and memory, one training step'),
    ('peak_flops',    '1/s',  1, 'noisy', 'fused multiply-adds, as measured: the roof of compute'),
    ('read_l1',       'B/s',  1, 'noisy', 'bandwidth of reading, as measured: roofs of memory'),
    ('read_l2',       'B/s',  1, 'noisy', 'see read_l1'),
    ('read_l3',       'B/s',  1, 'noisy', 'see read_l1'),
    ('read_dram',     'B/s',  1, 'noisy', 'see read_l1');

DROP VIEW v_run;
CREATE VIEW v_run AS
SELECT r.id, r.uuid, b.kind, b.name AS plugin, b.variant, p.title, p.year, r.status, r.reason,
       r.tainted, r.steady, r.unsteady,
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
       (SELECT v.value FROM value v JOIN metric k ON k.id = v.metric_id
         WHERE v.run_id = r.id AND k.name = 'energy_step_j') AS energy_step_j,
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

-- The newest good training of each plugin, variant and dataset; a profile alone, which evaluates
-- nothing, does not take its place, nor does a kernel's measurement.
DROP VIEW v_latest;
CREATE VIEW v_latest AS
SELECT max(r.id) AS id FROM run r JOIN benchmark b ON b.id = r.benchmark_id
 WHERE r.status = 'ok' AND r.epochs IS NOT NULL AND b.kind = 'train'
 GROUP BY r.benchmark_id, r.dataset_id;
