package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"

	"github.com/ascompleted/await"
	"github.com/ascompleted/await/internal/recipes/remote/child"
	"github.com/ascompleted/await/internal/recipes/remote/embedded"
	"github.com/ascompleted/await/internal/recipes/remote/httpwork"
	"github.com/ascompleted/await/internal/recipes/remote/natswork"
)

// callNATS shows jobs that go through a queue.
func callNATS(ctx context.Context, c *config, stdout io.Writer) error {
	stop, err := serveNATS(c)
	if err != nil {
		return err
	}
	defer stop()
	nc, err := natswork.Connect(c.url, natswork.Caller, c.keys)
	if err != nil {
		return err
	}
	defer nc.Close()
	queue, err := natswork.NewQueue(ctx, nc)
	if err != nil {
		return err
	}
	workers, _, err := hire(c.workers, "-worker", "-url", c.url, "-keys", string(c.keys))
	defer workers.dismiss()
	if err != nil {
		return err
	}
	return show(ctx, c, queue.Do, workers, stdout)
}

// serveNATS starts a server in this process, if there is no other.
func serveNATS(c *config) (stop func(), err error) {
	if c.url != "" {
		return func() {}, nil
	}
	config, err := natswork.Config(c.keys)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "remote")
	if err != nil {
		return nil, err
	}
	server, err := embedded.Serve(config, dir, embedded.AnyPort)
	if err != nil {
		os.RemoveAll(dir) //nolint:errcheck // it is in the folder for what may be lost
		return nil, err
	}
	c.url = server.ClientURL()
	return func() {
		server.Shutdown()
		os.RemoveAll(dir) //nolint:errcheck // as above
	}, nil
}

// workNATS is a worker of the queue.
func workNATS(ctx context.Context, c *config, stdout io.Writer) error {
	nc, err := natswork.Connect(c.url, natswork.Worker, c.keys)
	if err != nil {
		return err
	}
	defer nc.Close()
	fmt.Fprintln(stdout, c.name, "works")
	return natswork.Work(ctx, nc, nap(c.name, stdout))
}

// callHTTP shows jobs that go straight to workers.
func callHTTP(ctx context.Context, c *config, stdout io.Writer) error {
	workers, urls, err := hire(c.workers, "-worker", "-http", "-keys", string(c.keys))
	defer workers.dismiss()
	if err != nil {
		return err
	}
	pool, err := httpwork.NewPool(c.keys, urls...)
	if err != nil {
		return err
	}
	defer pool.Close()
	return show(ctx, c, pool.Do, workers, stdout)
}

// workHTTP is a worker with a URL, which it prints.
func workHTTP(ctx context.Context, c *config, stdout io.Writer) error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Fprintf(stdout, "https://%s\n", listener.Addr())
	return httpwork.Serve(ctx, listener, c.keys, nap(c.name, stdout))
}

// workers is the worker processes that this one has started.
type workers struct {
	byName map[string]*child.Child
	begun  chan begun
}

// begun is what a worker prints when it begins a job.
type begun struct{ worker, job string }

// hire starts n workers. It returns the first line that each prints, when it
// is ready.
func hire(n int, args ...string) (w *workers, ready []string, err error) {
	w = &workers{map[string]*child.Child{}, make(chan begun, 100)}
	for i := range n {
		name := fmt.Sprintf("worker %d", i+1)
		first, isFirst := make(chan string, 1), true
		heard := func(line string) {
			if isFirst {
				isFirst = false
				first <- line
				return
			}
			select {
			case w.begun <- begun{name, line}:
			default: // nobody reads them any more
			}
		}
		process, err := child.Start(heard, append(args, "-name", name)...)
		if err != nil {
			return w, nil, err
		}
		w.byName[name] = process
		select {
		case line := <-first:
			ready = append(ready, line)
		case <-process.Silent():
			return w, nil, fmt.Errorf("%s does not start", name)
		}
	}
	return w, ready, nil
}

// accident returns a task that kills the worker that begins the job with this
// number in time.
func (w *workers) accident(n int) await.Task[[]byte] {
	return func(ctx context.Context) ([]byte, error) {
		for {
			select {
			case b := <-w.begun:
				if n--; n > 0 {
					continue
				}
				w.byName[b.worker].Kill()
				return fmt.Appendf(nil, "%s is killed in the middle of job %s", b.worker, b.job), nil
			case <-ctx.Done():
				return nil, context.Cause(ctx)
			}
		}
	}
}

// dismiss ends the workers.
func (w *workers) dismiss() {
	for _, worker := range w.byName {
		worker.Kill()
	}
}
