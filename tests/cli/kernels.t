#!/bin/sh
# bench kernels: patterns, timers, results on screen, as JSON, as Google Benchmark's JSON, and in the database.
. tests/cli/tap.sh
fast="--quick --repeats 3 -q"

bench kernels 'relu*' $fast; is $status 0 "kernels by a pattern"
is "$(wc -l <"$dir/out")" 3 "a title and two cases"
like out '^relu_grad_f32/65536 .* GB/s .* 0$' "with rate and residual"
bench kernels 'gemm*512x784/t1' $fast --isa scalar --no-record; is $status 0 "one case of one instruction set"
like out '^gemm_f32/NT/128x512x784 +scalar +1 .* GFLOP/s ' "a product counts operations"

bench kernels gem_f32; is $status 2 "a name that is none: exit 2"; like err "did you mean 'gemm_f32'" "with a suggestion"
bench kernels '*1536*' --quick; is $status 2 "nothing left with --quick"; like err 'larger than the caches' "says why"
bench kernels a b; is $status 2 "two patterns"
bench kernels add_f32 --isa sse9; is $status 2 "an unknown instruction set"
bench kernels add_f32 --timer sundial; is $status 2 "an unknown timer"; like err 'auto, google or own' "with what there is"
bench kernels add_f32 --cold ice; is $status 2 "an unknown place"
bench kernels add_f32 --vs openblass; is $status 2 "an unknown library"; like err "did you mean 'openblas'" "with a suggestion"
bench kernels add_f32 --repeats 0; is $status 2 "no repeats"

bench kernels add_f32 $fast --json --no-record; is $status 0 "JSON"
is "$(json "$dir/out" schema)" 1 "schema 1"
is "$(json "$dir/out" cases 0 name)" add_f32/1280/t1 "a case"
is "$(json "$dir/out" cases 0 residual)" 0 "an exact kernel"
is "$(json "$dir/out" cases 0 flops)" null "what is not counted is null"
is "$(json "$dir/out" cases 0 peers openblas)" null "what was not asked too"
[ "$(perl -e 'print 0 + '"$(json "$dir/out" cases 0 hot median_s)"' > 0')" = 1 ]; ok $? "it took time"

# Both timers; Google's only where it was built.
bench kernels add_f32 --quick --repeats 3 --timer own --no-record; is $status 0 "our own timer"
like err '^timer: own;' "is named"
if [ -e "$(dirname "$BENCH")/bench-gbench.so" ]; then
    bench kernels add_f32 --quick --repeats 3 --no-record; like err '^timer: Google Benchmark;' "Google's timer, found by itself"
    bench kernels add_f32 --quick --repeats 3 --timer google --json --no-record
    is "$(json "$dir/out" timer)" google "and asked for"
    mkdir "$dir/bin"; cp "$BENCH" "$dir/bin/bench"; cp "$(dirname "$BENCH")/libnn.so" "$dir/bin/libnn.so.1"
    run "$dir/bin/bench" kernels add_f32 --quick --repeats 3 --no-record; is $status 0 "without it"
    like err '^timer: own \(Google Benchmark not built in: package libbenchmark-dev\)' "our own, and why"
    run "$dir/bin/bench" kernels add_f32 --timer google; is $status 1 "asked for and not there: exit 1"
    echo broken >"$dir/bin/bench-gbench.so"
    run "$dir/bin/bench" kernels add_f32 --quick --repeats 3 --no-record
    like err '^timer: own \(Google Benchmark not loaded' "a library that does not load is told"
else
    skip "Google Benchmark is not built in"
fi

bench kernels 'relu_f32' $fast --gbench-json "$dir/g.json" --no-record; is $status 0 "Google Benchmark's JSON"
is "$(json "$dir/g.json" benchmarks 0 run_type)" iteration "repetitions"
is "$(json "$dir/g.json" benchmarks 3 aggregate_name)" mean "aggregates"
is "$(json "$dir/g.json" benchmarks 0 repetitions)" 3 "how many"
is "$(json "$dir/g.json" benchmarks 0 time_unit)" ns "their unit"
for key in name run_name iterations real_time cpu_time repetition_index family_index per_family_instance_index threads; do
    [ "$(json "$dir/g.json" benchmarks 0 $key)" != null ]; ok $? "has $key"
done
bench kernels relu_f32 --gbench-json "$dir/no/g.json"; is $status 1 "a file that cannot be written: exit 1"

# In the database, and not among the trainings.
is "$(sqlite3 "$BENCH_DB" "SELECT count(*) FROM run r JOIN benchmark b ON b.id = r.benchmark_id WHERE kind = 'kernel' AND name LIKE 'relu%'")" 2 "a run a case"
is "$(sqlite3 "$BENCH_DB" "SELECT count(*) FROM value v JOIN metric m ON m.id = v.metric_id WHERE m.name = 'kernel_s' AND how IN ('hot', 'cold') AND n = 3 AND least <= value")" 4 "with times"
is "$(sqlite3 "$BENCH_DB" "SELECT json_extract(body, '\$.n') FROM run r JOIN config c ON c.id = r.config_id LIMIT 1")" 65536 "and shapes"
bench results; is "$(wc -l <"$dir/out")" 0 "bench results lists trainings only"
bench run mlp:128 --data digits --max-steps 5 --threads 1 -q; bench results; is "$(wc -l <"$dir/out")" 2 "of which there is one"
done_testing
