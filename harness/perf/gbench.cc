/* gbench.cc — the only C++ here: a shim between Google Benchmark and C (gbench.h).
 *
 * Times are "manual": the body runs a whole batch with its crew of threads and says how long
 * that took, so that starting threads is not counted. How many calls a batch has, and how
 * often it is repeated, is the library's decision. */
#include "perf/gbench.h"

#include <vector>

#include <benchmark/benchmark.h>

namespace
{

/* Hands repetitions on, and prints nothing: the program has its own tables. */
class Listener : public benchmark::BenchmarkReporter
{
  public:
    Listener(gbench_sample *to, void *to_arg) : sample(to), arg(to_arg) {}
    bool ReportContext(const Context &) override { return true; }
    void ReportRuns(const std::vector<Run> &runs) override
    {
        for (const Run &run : runs) {
            if (run.run_type != Run::RT_Iteration || run.error_occurred || run.iterations < 1)
                continue;
            sample(arg, run.iterations,
                   run.real_accumulated_time / static_cast<double>(run.iterations));
            heard++;
        }
    }
    int heard = 0;

  private:
    gbench_sample *sample;
    void *arg;
};

} // namespace

int gbench_measure(const char *name, gbench_body *body, gbench_sample *sample, void *arg,
                   double min_s, int repetitions)
{
    benchmark::ClearRegisteredBenchmarks();
    benchmark::RegisterBenchmark(name,
                                 [body, arg](benchmark::State &state) {
                                     const int64_t calls =
                                         static_cast<int64_t>(state.max_iterations);
                                     while (state.KeepRunningBatch(calls))
                                         state.SetIterationTime(body(arg, calls));
                                 })
        ->UseManualTime()
        ->MinTime(min_s)
        ->Repetitions(repetitions);
    Listener listener(sample, arg);
    benchmark::RunSpecifiedBenchmarks(&listener, "all");
    benchmark::ClearRegisteredBenchmarks();
    return listener.heard;
}
