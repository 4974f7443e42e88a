// Remote shows a loop over jobs that other processes do: workers behind a work
// queue on NATS (natswork), or with -http behind net/http (httpwork). One of
// them is killed in the middle of a job, and another one does that job. Run it
// with -h to see the flags.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/ascompleted/await"
	"github.com/ascompleted/await/internal/recipes/remote/child"
	"github.com/ascompleted/await/internal/recipes/remote/keys"
	"github.com/ascompleted/await/internal/recipes/remote/natswork"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second Ctrl-C kills
	err := run(ctx, os.Args[1:], os.Stdout)
	if err != nil && !errors.Is(err, context.Canceled) {
		fmt.Fprintln(os.Stderr, "remote:", err)
		os.Exit(1)
	}
}

// run is the program, be it the caller or a worker.
func run(ctx context.Context, args []string, stdout io.Writer) error {
	c, err := parse(args)
	if errors.Is(err, flag.ErrHelp) {
		_, err = fmt.Fprint(stdout, usage)
		return err
	}
	if err != nil {
		return err
	}
	child.Follow(func(string) {})
	if c.hosts != "" {
		return makeKeys(c.keys, strings.Split(c.hosts, ","))
	}
	if c.keys == "" {
		if c.worker || c.peer || c.url != "" {
			return errors.New("no -keys: those of the server are needed")
		}
		temp, err := os.MkdirTemp("", "remote")
		if err != nil {
			return err
		}
		defer os.RemoveAll(temp) //nolint:errcheck // it is in the folder for what may be lost
		c.keys = keys.Dir(filepath.Join(temp, "keys"))
		if err := c.keys.Make(); err != nil {
			return err
		}
	}
	switch {
	case c.bench:
		return bench(ctx, &c, stdout)
	case c.peer && c.http:
		return peerHTTP(ctx, &c, stdout)
	case c.peer:
		return peerNATS(ctx, &c, stdout)
	case c.worker && c.http:
		return workHTTP(ctx, &c, stdout)
	case c.worker:
		return workNATS(ctx, &c, stdout)
	case c.http:
		return callHTTP(ctx, &c, stdout)
	default:
		return callNATS(ctx, &c, stdout)
	}
}

// makeKeys makes the keys of several machines, and the configuration of a NATS
// server on this one.
func makeKeys(dir keys.Dir, hosts []string) error {
	if err := dir.Make(hosts...); err != nil {
		return err
	}
	config, err := natswork.Config(dir)
	if err != nil {
		return err
	}
	return dir.Write("server.conf", []byte(config))
}

// do has a job done, in this process or in another one.
type do = func(ctx context.Context, job []byte) ([]byte, error)

// nap returns what workers do here. A job is its number, if somebody
// wants to read when it begins, and how long it takes; the result is the name of
// the worker.
func nap(name string, stdout io.Writer) do {
	return func(ctx context.Context, job []byte) ([]byte, error) {
		number, duration, _ := strings.Cut(string(job), " ")
		d, err := time.ParseDuration(duration)
		if err != nil {
			return nil, err
		}
		if number != "" {
			fmt.Fprintln(stdout, number)
		}
		select {
		case <-time.After(d):
			return []byte(name), nil
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// show has the jobs done, and prints each result when it is there.
func show(ctx context.Context, c *config, do do, workers *workers, stdout io.Writer) error {
	var jobs [][]byte
	for i := range c.jobs {
		jobs = append(jobs, fmt.Appendf(nil, "%d %v", i+1, rand.N(time.Second).Round(time.Millisecond)))
	}
	tasks := await.Tasks(jobs, do)
	if c.kill && c.workers > 1 {
		tasks = append(tasks, workers.accident(c.jobs/2)) // one more task beside the jobs
	}
	start, failed := time.Now(), 0
	for i, r := range await.AsCompleted(ctx, tasks) {
		var text string
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case r.Err != nil:
			failed++
			text = fmt.Sprintf("failed: %v", r.Err)
		case i == len(jobs):
			text = string(r.Value)
		default:
			text = fmt.Sprintf("job %s by %s", jobs[i], r.Value)
		}
		fmt.Fprintf(stdout, "%5.2f s  %s\n", time.Since(start).Seconds(), text)
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d jobs failed", failed, len(jobs))
	}
	return nil
}
