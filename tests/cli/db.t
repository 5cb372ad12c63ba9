#!/bin/sh
# bench results and bench db: what is recorded is found again; damage and read-only places are told.
. tests/cli/tap.sh
quick="--data digits --max-steps 20 --threads 1 -q"

bench results; is $status 1 "results without a database: exit 1"; like err 'no database' "says so"
bench db check; is $status 1 "db check without one"
[ ! -e "$BENCH_DB" ]; ok $? "looking makes no database"
bench db path; is "$(cat "$dir/out")" "$BENCH_DB" "db path"
run "$BENCH" --db x db path; is $status 2 "options stand behind the verb"
bench db path --db other.db; is "$(cat "$dir/out")" other.db "--db is heard"
bench db; is $status 2 "db alone: exit 2"
bench db chek; is $status 2 "db with an unknown word: exit 2"; like err "did you mean 'check'" "with a suggestion"

bench run mlp:128 $quick; is $status 0 "a run"
bench run filters $quick --seed 5 --profile; is $status 0 "another"
bench run lenet5 $quick --no-record; is $status 0 "one that is not recorded"

bench results; is $status 0 "results"
is "$(wc -l <"$dir/out")" 3 "a title and two runs"
is "$(sed -n '2s/^ *\([0-9]*\) .*/\1/p' "$dir/out")" 2 "the newest first"
like out 'digits \(synthetic\)' "synthetic data are marked"
bench results mlp; is "$(wc -l <"$dir/out")" 2 "of one network"
bench results 'm*:1*'; is "$(wc -l <"$dir/out")" 2 "by patterns"
bench results 2 --json; is "$(json "$dir/out" runs 0 plugin)" filters "by number, as JSON"
is "$(json "$dir/out" runs 0 seed)" 5 "with its seed"
bench results --last 1 --csv; is "$(wc -l <"$dir/out")" 2 "CSV of the last one"
like out '^run,started_ms,plugin,variant,' "with names on top"
bench results nothing; is $status 0 "a name that has no run"; is "$(wc -c <"$dir/out")" 0 "lists nothing"
like err 'no such run' "and says so"
bench results --last 0; is $status 2 "--last 0"

bench results show 2; is $status 0 "results show"
for word in 'plugin sha256' 'cpu ' 'kernel ' 'compiler ' 'fingerprint' 'settings' 'params \(plan\)' 'conv'; do
    like out "$word" "tells $word"
done
bench results show 2 --json; is "$(json "$dir/out" runs 0 facts data synthetic)" yes "the same as JSON"
bench results show 1 --steps; is "$(wc -l <"$dir/out")" 21 "the raw time of every step"
like out '^1,0,[0-9.]+$' "in milliseconds"
bench results show 99; is $status 2 "a run that is not there"; like err 'no run 99' "says so"
bench results show x; is $status 2 "not a number"
bench results show; is $status 2 "no number"

bench db check; is $status 0 "db check"; like out 'sound; schema 3, 2 sessions, 2 runs \(2 ok, [0-2] tainted\)' "counts"
bench db check --json; is "$(json "$dir/out" database)" "$BENCH_DB" "the same as JSON"
bench db vacuum; is $status 0 "db vacuum"
bench db migrate; is $status 0 "db migrate"; like out 'schema 3' "tells the schema"

echo "this is no database, but it is long enough to be taken for one by somebody careless" >"$dir/text.db"
bench db check --db "$dir/text.db"; is $status 1 "a text file: exit 1"; like err 'not a database' "says so"
bench run mlp:128 $quick --db "$dir/text.db"; is $status 1 "running into it: exit 1"
is "$(grep -c careless "$dir/text.db")" 1 "leaves it alone"
bench run mlp:128 $quick --db /proc/none/x.db; is $status 1 "a place that cannot be written: exit 1"
like err 'cannot create folder' "says so"
bench run mlp:128 $quick --db /proc/none/x.db --no-record; is $status 0 "but runs with --no-record"

if command -v sqlite3 >/dev/null; then
    sqlite3 "$BENCH_DB" "UPDATE run SET status = 'failed', reason = 'started' WHERE id = 1"
    bench results; like out '^ *1 .*unfinished' "a run without an end is unfinished"
    sqlite3 "$BENCH_DB" 'PRAGMA user_version = 9'
    bench results; is $status 0 "a newer schema can be read"; like err 'newer bench' "with a note"
    bench run mlp:128 $quick; is $status 1 "but not written"; like err 'newer bench' "says so"
    sqlite3 "$BENCH_DB" 'PRAGMA user_version = 3; PRAGMA foreign_keys = OFF; DELETE FROM session'
    bench db check; is $status 1 "a missing reference: exit 1"; like err 'session' "names it"
else
    skip "sqlite3 is not installed"
fi
done_testing
