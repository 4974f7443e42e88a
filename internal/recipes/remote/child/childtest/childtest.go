// Package childtest helps tests of what several processes do together.
package childtest

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/ascompleted/await"
	"github.com/ascompleted/await/internal/recipes/remote/child"
)

// Watchdog bounds every wait. No test gets that far unless it fails.
const Watchdog = 30 * time.Second

// Main is the TestMain of a test whose binary is the other processes too: in
// one that [Cast.Start] has started, it plays the role that the first argument
// names, with the other arguments.
func Main(m *testing.M, roles map[string]func(args []string) error) {
	if len(os.Args) > 1 {
		if role, ok := roles[os.Args[1]]; ok {
			fmt.Fprintln(os.Stderr, os.Args[1:], role(os.Args[2:]))
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

// An Event is a line that a process has printed.
type Event struct{ Who, Text string }

// Cast is the processes of a test and what they print.
type Cast struct {
	*testing.T
	Events   chan Event
	children map[string]*child.Child
}

// New returns a cast without processes.
func New(t *testing.T) *Cast {
	return &Cast{t, make(chan Event, 1000), map[string]*child.Child{}}
}

// Start starts a process that ends with the test.
func (c *Cast) Start(name string, args ...string) {
	c.Helper()
	process, err := child.Start(func(line string) { c.Events <- Event{name, line} }, args...)
	if err != nil {
		c.Fatal(err)
	}
	c.Cleanup(process.Kill)
	c.children[name] = process
}

// Kill kills a process, as a crash would.
func (c *Cast) Kill(name string) { c.children[name].Kill() }

// Release lets a worker come to the end of that many jobs.
func (c *Cast) Release(name string, jobs int) {
	c.Helper()
	for range jobs {
		if err := c.children[name].Say("go on"); err != nil {
			c.Fatal(err)
		}
	}
}

// Next waits for the next event that begins so.
func (c *Cast) Next(text string) Event {
	c.Helper()
	deadline := time.After(Watchdog)
	for {
		select {
		case e := <-c.Events:
			if strings.HasPrefix(e.Text, text) {
				return e
			}
		case <-deadline:
			c.Fatalf("waited too long for %q", text)
		}
	}
}

// AllBusy waits until each of the workers has begun a job, and returns which.
func (c *Cast) AllBusy(workers int) map[string]string {
	c.Helper()
	busy := map[string]string{}
	for len(busy) < workers {
		e := c.Next("begun ")
		busy[e.Who] = strings.TrimPrefix(e.Text, "begun ")
	}
	return busy
}

// Worker returns the job function of a worker process. It prints what becomes
// of its jobs, and comes to the end of one for each that [Cast.Release] allows.
func Worker(name string) (do func(context.Context, []byte) ([]byte, error)) {
	goOn := make(chan struct{}, 1000)
	child.Follow(func(string) { goOn <- struct{}{} })
	return func(ctx context.Context, job []byte) ([]byte, error) {
		fmt.Printf("begun %s\n", job)
		select {
		case <-goOn:
			return fmt.Appendf(nil, "%s by %s", job, name), nil
		case <-ctx.Done():
			fmt.Printf("ended %s: %v\n", job, context.Cause(ctx))
			return nil, context.Cause(ctx)
		}
	}
}

// Jobs are "job 0", "job 1" and so on.
func Jobs(n int) [][]byte {
	jobs := make([][]byte, n)
	for i := range jobs {
		jobs[i] = fmt.Appendf(nil, "job %d", i)
	}
	return jobs
}

// Perform runs the loop over n jobs, and beside them, as one more task, what
// happens meanwhile. Every job must have one result, which is its own; Perform
// returns which worker has done it.
func (c *Cast) Perform(do func(context.Context, []byte) ([]byte, error), n int, happens func()) (by map[int]string) {
	c.Helper()
	jobs := Jobs(n)
	tasks := append(await.Tasks(jobs, do), func(context.Context) ([]byte, error) {
		happens()
		return nil, nil
	})
	by = map[int]string{}
	ctx, cancel := context.WithTimeout(c.Context(), 2*Watchdog)
	defer cancel()
	for i, r := range await.AsCompleted(ctx, tasks) {
		if r.Err != nil {
			c.Fatal(r.Err)
		}
		if i == n {
			continue
		}
		job, worker, _ := strings.Cut(string(r.Value), " by ")
		if job != string(jobs[i]) || by[i] != "" {
			c.Fatalf("%q is the result of job %d, which was done by %q", r.Value, i, by[i])
		}
		by[i] = worker
	}
	if len(by) != n {
		c.Fatalf("%d results of %d jobs", len(by), n)
	}
	return by
}

// LeaveBusy runs a loop over n jobs, and leaves it when all workers are busy.
func (c *Cast) LeaveBusy(do func(context.Context, []byte) ([]byte, error), n, workers int) {
	c.Helper()
	tasks := append(await.Tasks(Jobs(n), do), func(context.Context) ([]byte, error) {
		c.AllBusy(workers)
		return nil, nil
	})
	for _, r := range await.AsCompleted(c.Context(), tasks) {
		if r.Err != nil {
			c.Fatal(r.Err)
		}
		return
	}
}
