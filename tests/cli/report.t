#!/bin/sh
# bench report: a page and its pictures; opened in a real browser where one is at hand.
. tests/cli/tap.sh
quick="--data digits --max-steps 20 --threads 1 -q"
o=$dir/report

bench report -o "$o"; is $status 1 "no database: exit 1"
bench run mlp:128 filters $quick --profile; is $status 0 "two runs"
bench report nothing -o "$o"; is $status 2 "a selection of nothing: exit 2"; like err 'bench results' "with advice"
[ ! -e "$o" ]; ok $? "and nothing is written"

bench report -o "$o"; is $status 0 "report"
is "$(tail -n 1 "$dir/out")" "$o/index.html" "says where it is"
for file in index.html report.md style.gp words.gp runs.tsv curves.tsv loss.gp layers_1.tsv layers_2.tsv; do
    [ -s "$o/$file" ]; ok $? "$file"
done
grep -q 'mlp:128' "$o/report.md"; ok $? "the Markdown has the table"
grep -q 'bench run mlp:128' "$o/index.html"; ok $? "the page tells how to repeat"

if command -v gnuplot >/dev/null; then
    for name in cost steps layers_1; do
        [ -s "$o/$name.svg" ] && [ -s "$o/$name.png" ]; ok $? "$name drawn twice"
    done
    rm "$o/cost.svg"; (cd "$o" && gnuplot cost.gp 2>/dev/null); [ -s "$o/cost.svg" ]; ok $? "a script runs by itself"
else
    skip "gnuplot is not installed"
fi
bench report mlp -o "$o" --json; is "$(json "$dir/out" runs)" 1 "of one network, as JSON"
[ "$(json "$dir/out" pictures)" -gt 2 ]; ok $? "pictures are counted"

mkdir "$dir/bin"; ln -s "$(command -v sh)" "$dir/bin/sh"
run env PATH="$dir/bin" "$BENCH" report -o "$dir/plain"; is $status 0 "without gnuplot"
like err 'gnuplot is not installed' "says so"
grep -q 'gnuplot is not installed' "$dir/plain/index.html"; ok $? "on the page, too"
[ -s "$dir/plain/curves.tsv" ]; ok $? "and leaves the data"
bench report -o /proc/none; is $status 1 "a folder that cannot be made: exit 1"; like err 'cannot create folder' "says so"

browser=$(command -v chromium || command -v google-chrome || true)
if [ -n "$browser" ] && command -v gnuplot >/dev/null; then
    bench report -o "$o"
    timeout 60 "$browser" --headless --no-sandbox --disable-gpu --user-data-dir="$dir/profile" --dump-dom \
        "file://$o/index.html" >"$dir/dom" 2>/dev/null
    is "$(grep -o '<figure>' "$dir/dom" | wc -l)" "$(grep -o '<svg role' "$dir/dom" | wc -l)" "a browser finds every picture"
    grep -q '</footer>' "$dir/dom"; ok $? "and the end of the page"
else
    skip "no browser here"
fi

bench run gru:adding --data adding:10 --max-steps 20 --threads 1 -q; is $status 0 "a run that is judged by its error"
bench report -o "$o"; is $status 0 "beside those judged by accuracy"
grep -q "test accuracy (%)" "$o/words.gp"; ok $? "accuracy has an axis"
grep -q "test mse" "$o/words.gp"; ok $? "and so has the error"
if command -v gnuplot >/dev/null; then
    [ -s "$o/cost.svg" ] && [ -s "$o/cost_2.svg" ]; ok $? "a picture each"
    ! grep -q 'gru:adding' "$o/cost.svg" && grep -q 'gru:adding' "$o/cost_2.svg"; ok $? "of its own runs"
else
    skip "gnuplot is not installed"
fi
done_testing
