#!/bin/sh
# bench run --counters: what is counted, what cannot be, and what is recorded of either; the noise
# ledger and steadiness of a run.
. tests/cli/tap.sh
quick="--data digits --threads 2 --max-steps 120"

bench run --counters list; is $status 0 "--counters list"
like out '^l2-misses ' "names events"
like out '^user-time +rusage ' "tells who counts them"
like out '^PAPI: ' "and whether PAPI is there"
is "$(wc -l <"$dir/err")" 0 "nothing on stderr"
bench run mlp:128 $quick --counters cycles,branch-mises; is $status 2 "an unknown event: exit 2"
like err "did you mean 'branch-misses'" "with the nearest name"
like err 'task-clock' "and all of them"
bench run mlp:128 $quick --counters cycles,; is $status 2 "an empty name: exit 2"
bench run mlp:128 $quick --counters; is $status 2 "no list: exit 2"
[ ! -e "$BENCH_DB" ]; ok $? "nothing was recorded for these"

events=cycles,L2miss,task-clock,page-faults,user-time,PAPI_TOT_INS
bench run mlp:128 $quick --counters $events --json; is $status 0 "a run with counters"
cp "$dir/out" "$dir/run.json"
# Each event once for all steps: a number without reason, or null with one. Never both, never neither.
perl -MJSON::PP -0777 -e 'my %e; for my $c (@{decode_json(<STDIN>)->{runs}[0]{counters}}) {
        next if $c->{source} eq "rapl"; $e{$c->{event}}++;
        exit 1 if defined $c->{value} == defined $c->{reason} or $c->{region} ne "steps" or $c->{steps} < 1;
        exit 2 if defined $c->{value} && $c->{source} ne "rusage" && !defined $c->{multiplexed} }
    exit join(",", sort keys %e) ne "PAPI_TOT_INS,cycles,l2-misses,page-faults,task-clock,user-time"' <"$dir/run.json"
ok $? "each event has a value or the reason why not"
counted() { # counted FILE EVENT: its value
    perl -MJSON::PP -0777 -e 'for (@{decode_json(<STDIN>)->{runs}[0]{counters}}) {
        print defined $_->{value} ? $_->{value} : "null" if $_->{event} eq $ARGV[0] && $_->{region} eq "steps" }' "$2" <"$1"
}
us=$(counted "$dir/run.json" user-time)
perl -e 'exit !($ARGV[0] > 500)' "$us"; ok $? "user time was measured: $us us"
perl -MJSON::PP -0777 -e 'exit !grep { $_->{source} eq "rapl" } @{decode_json(<STDIN>)->{runs}[0]{counters}}' <"$dir/run.json"
ok $? "energy is there, or why not"
for key in tainted steady unsteady noise; do
    perl -MJSON::PP -0777 -e 'exit !exists decode_json(<STDIN>)->{runs}[0]{$ARGV[0]}' $key <"$dir/run.json"; ok $? "has $key"
done
is "$(json "$dir/run.json" runs 0 noise steps)" 70 "the ledger begins where warm-up must be over"
[ "$(json "$dir/run.json" runs 0 noise heap_bytes)" = 0 ] || [ "$(json "$dir/run.json" runs 0 noise heap_bytes)" = null ]
ok $? "nothing is allocated in the steps"

bench results --json; is "$(json "$dir/out" runs 0 tainted)" "$(json "$dir/run.json" runs 0 tainted)" "results tell the same taint"
bench results show 1; is $status 0 "results show"
like out '^steps +task-clock' "has counters"
like out 'disturbance' "and what disturbed the run"
like out 'link flags' "and how it was linked"
like out 'sqlite 3' "and with which libraries"
bench results show 1 --json; is "$(counted "$dir/out" user-time)" "$us" "as JSON: the same value"

bench run mlp:128 $quick --profile --counters task-clock,user-time --json; is $status 0 "by op, with a profile"
perl -MJSON::PP -0777 -e 'my (%sum, $ops); for my $c (@{decode_json(<STDIN>)->{runs}[0]{counters}}) {
        next if $c->{source} ne "rusage" && $c->{source} ne "perf" or !defined $c->{value};
        $ops++ if $c->{layer}; $sum{$c->{event}}[defined $c->{layer}] += $c->{value} }
    for (values %sum) { exit 1 if $_->[1] > 1.001 * $_->[0] } exit !($ops > 5)' <"$dir/out"
ok $? "the ops together are not more than the steps"
bench run mlp:128 --data digits --threads 2 --time-budget 0.001 --counters user-time --json
is $status 0 "a run that ends before its timed steps begin"
is "$(counted "$dir/out" user-time)" null "has counted nothing"; like out 'ended before' "and says why"
is "$(json "$dir/out" runs 0 noise)" null "nor has it a ledger"

bench profile mlp:128 --data digits --threads 2 --steps 20 --no-plot --counters user-time --json
is $status 0 "bench profile counts too"
perl -MJSON::PP -0777 -e 'my @c = grep { $_->{event} eq "user-time" } @{decode_json(<STDIN>)->{run}{counters}};
    exit !(@c > 5 && $c[0]{steps} == 100 && (grep { defined $_->{layer} } @c) == @c - 1)' <"$dir/out"
ok $? "in a stretch of its own, by op"

# PAPI, by a library that counts what can be foretold: 1000 cycles and 2000 misses a reading, of
# which a run has one at its end for each of two threads; the thread sanitizer has one of its own.
threads=2; [ "$BENCH_CONFIG" != tsan ] || threads=3
fake=$(dirname "$BENCH")/tests/libpapi.so
if bench run --counters list && ! grep -q 'not built in' "$dir/out" && [ -e "$fake" ]; then
    mkdir "$dir/lib"
    for version in 5.5 5.6 5.7 6.0 7.0 7.1 7.2; do cp "$fake" "$dir/lib/libpapi.so.$version"; done
    export LD_LIBRARY_PATH="$dir/lib"
    bench run mlp:128 $quick --counters PAPI_TOT_CYC,l2-misses,watts:::ALL,PAPI_BR_MSP --json
    is $status 0 "a run with PAPI"
    ! grep -q 'fake PAPI' "$dir/err"; ok $? "that stops what it started"
    is "$(counted "$dir/out" PAPI_TOT_CYC)" $((threads * 1000)) "an event by its own name, of both threads"
    is "$(counted "$dir/out" l2-misses)" $((threads * 2000)) "one by our name"
    is "$(counted "$dir/out" watts:::ALL)" 5000 "one of the whole machine counts once"
    is "$(counted "$dir/out" PAPI_BR_MSP)" null "one that this CPU lacks is null"
    bench run mlp:128 $quick --counters PAPI_TOT_CYC,PAPI_NONE; is $status 2 "one that PAPI does not know: exit 2"
    : >"$dir/lib/empty"
    for library in "$dir"/lib/libpapi.so.*; do cp "$dir/lib/empty" "$library"; done
    bench run mlp:128 $quick --counters PAPI_TOT_CYC --json; is $status 0 "a library that is none"
    is "$(counted "$dir/out" PAPI_TOT_CYC)" null "is as good as no library"; like out 'cannot be loaded' "and the reason is told"
    unset LD_LIBRARY_PATH
else
    skip "built without PAPI, or no library to try it with"
fi
bench db check; is $status 0 "db check"; like out '[1-9][0-9]* counters' "knows counters"
bench run mlp:128 --data digits --threads 1 --max-steps 4 --json; is $status 0 "a run too short to judge"
is "$(json "$dir/out" runs 0 steady)" null "of it nothing is claimed"
like out 'too few to tell' "and it says so"
done_testing
