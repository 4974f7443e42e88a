package await_test

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime/pprof"
	"runtime/trace"
	"strings"
	"testing"

	"github.com/ascompleted/await"
	"github.com/stretchr/testify/require"
)

// traceOf returns the execution trace of f.
func traceOf(t *testing.T, f func()) string {
	t.Helper()
	var buf bytes.Buffer
	startTrace(t, &buf)
	f()
	trace.Stop()
	return buf.String()
}

// startTrace skips the test if go test itself is tracing.
func startTrace(t *testing.T, buf *bytes.Buffer) {
	t.Helper()
	if trace.IsEnabled() {
		t.Skip("there is one trace at a time")
	}
	require.NoError(t, trace.Start(buf))
}

// requireTraced fails if trace does not have the strings, each whole: a trace
// keeps a string after its length.
func requireTraced(t *testing.T, trace string, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if !strings.Contains(trace, string(rune(len(text)))+text) {
			t.Errorf("%q is not in the trace", text)
		}
	}
}

func TestTraceHasTheNameAndTheTasks(t *testing.T) {
	for name, run := range gatherRuns {
		t.Run(name, func(t *testing.T) {
			traced := traceOf(t, func() { run(t.Context(), after(0, 1), after(0, 2), await.Name("crawl")) })
			requireTraced(t, traced, "crawl", "await.task")
			require.NotContains(t, traced, "\x05await")
		})
	}
}

var (
	tracedEvent  = regexp.MustCompile(`(?m)^.* ((?:Task|Region|Log)(?:Begin|End)?) .*(?:ID|Task)=(\d+)(.*)$`)
	quotedString = regexp.MustCompile(`"[^"]*"`)
)

// eventsOf lists what a trace of one call has about tasks and regions; what is
// outside the call is marked.
func eventsOf(t *testing.T, traced string) (events []string) {
	t.Helper()
	program, err := exec.LookPath("go")
	if err != nil {
		t.Skip("there is no go command to read the trace with")
	}
	path := filepath.Join(t.TempDir(), "trace")
	require.NoError(t, os.WriteFile(path, []byte(traced), 0o600))
	out, err := exec.CommandContext(t.Context(), program, "tool", "trace", "-d=parsed", path).CombinedOutput()
	if err != nil {
		t.Skipf("go tool trace cannot be built here, or is of another release: %v\n%s", err, out)
	}
	var call string
	for _, m := range tracedEvent.FindAllStringSubmatch(string(out), -1) {
		what, task, texts := m[1], m[2], quotedString.FindAllString(m[3], -1)
		if call == "" {
			call = task
		}
		if task != call {
			what = "outside: " + what
		}
		events = append(events, what+" "+strings.Join(texts, " "))
	}
	return events
}

func TestTraceShowsEachTaskFromItsBeginningToItsEnd(t *testing.T) {
	for name, settle := range settleFuncs {
		t.Run(name, func(t *testing.T) {
			logging := func(message string) await.Task[int] {
				return func(ctx context.Context) (int, error) {
					trace.Log(ctx, "in", message)
					return 0, nil
				}
			}
			traced := traceOf(t, func() {
				settle(t.Context(), []await.Task[int]{logging("a"), logging("b")}, await.Limit(1), await.Name("crawl"))
				trace.Log(t.Context(), "after", "")
			})
			require.Equal(t, []string{
				`TaskBegin "crawl"`,
				`RegionBegin "await.task"`,
				`Log "task" "0"`,
				`Log "in" "a"`,
				`RegionEnd "await.task"`,
				`RegionBegin "await.task"`,
				`Log "task" "1"`,
				`Log "in" "b"`,
				`RegionEnd "await.task"`,
				`TaskEnd "crawl"`,
				`outside: Log "after" ""`,
			}, eventsOf(t, traced))
		})
	}
}

func TestTraceWithoutNameSaysAwait(t *testing.T) {
	for name, run := range gatherRuns {
		t.Run(name, func(t *testing.T) {
			traced := traceOf(t, func() { run(t.Context(), after(0, 1), after(0, 2)) })
			requireTraced(t, traced, "await", "await.task")
		})
	}
}

func TestTraceThatStartsInTheMiddleOfACall(t *testing.T) {
	for name, run := range gatherRuns {
		t.Run(name, func(t *testing.T) {
			var buf bytes.Buffer
			var err error
			if name == "First" {
				err = errBoom // or it would not go on to the second task
			}
			run(t.Context(), func(context.Context) (int, error) {
				startTrace(t, &buf)
				return 0, err
			}, after(0, 1), await.Limit(1), await.Name("crawl"))
			trace.Stop()
			requireTraced(t, buf.String(), "crawl", "await.task")
		})
	}
}

func TestTraceThatStopsInTheMiddleOfACall(t *testing.T) {
	for name, settle := range settleFuncs {
		t.Run(name, func(t *testing.T) {
			var buf bytes.Buffer
			startTrace(t, &buf)
			results := settle(t.Context(), []await.Task[int]{
				after(0, 10),
				func(context.Context) (int, error) { trace.Stop(); return 20, nil },
				after(0, 30),
			}, await.Limit(1), await.Name("crawl"))
			require.Equal(t, []await.Result[int]{{Value: 10}, {Value: 20}, {Value: 30}}, results)
			requireTraced(t, buf.String(), "crawl", "await.task")
		})
	}
}

func TestTraceChangesNothingOfHowATaskEnds(t *testing.T) {
	for name, run := range gatherRuns {
		t.Run(name, func(t *testing.T) {
			traced := traceOf(t, func() {
				raised := raisedBy(t, func() { run(t.Context(), detonating(0, "boom"), after(0, 1), await.Name("crawl")) })
				require.Equal(t, "boom", raised.Value)
				require.Contains(t, string(raised.Stack), "await_test.detonate(")
			})
			requireTraced(t, traced, "crawl", "await.task")
		})
	}
	for name, settle := range settleFuncs {
		t.Run(name+" that goes on", func(t *testing.T) {
			traced := traceOf(t, func() {
				results := settle(t.Context(), []await.Task[int]{detonating(0, errBoom), exiting[int](0), failing[int](0, errBoom), after(0, 40)},
					await.Recover(), await.Name("crawl"))
				requirePanicError(t, results[0].Err)
				require.Equal(t, []await.Result[int]{{Err: await.ErrGoexit}, {Err: errBoom}, {Value: 40}}, results[1:])
			})
			requireTraced(t, traced, "crawl", "await.task")
		})
	}
}

func TestTraceKeepsTheLabelsAndTheCauseOfTheTasksContext(t *testing.T) {
	for name, run := range gatherRuns {
		t.Run(name, func(t *testing.T) {
			var label string
			var cause func() error
			ctx := t.Context()
			traceOf(t, func() {
				run(ctx, func(ctx context.Context) (int, error) {
					label, _ = pprof.Label(ctx, "await")
					cause = func() error { return context.Cause(ctx) }
					return 1, nil
				}, after(0, 1), await.Name("crawl"))
			})
			require.Equal(t, "crawl", label)
			require.Equal(t, await.ErrStopped, cause())
		})
	}
}

// With Detach the loop may be gone when the first of its tasks to be traced
// begins.
func TestTraceOfACallThatIsLeftWhenItsTaskBegins(t *testing.T) {
	traceOf(t, func() {
		for range rounds(5000) {
			ctx := endingSoon(t.Context(), 6000)
			for range await.AsCompleted(ctx, []await.Task[int]{after(0, 1)}, await.Detach()) {
				break
			}
		}
	})
	requireNoWorkers(t)
}
