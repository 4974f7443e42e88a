package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/ascompleted/await"
	"github.com/ascompleted/await/internal/recipes/remote/httpwork"
	"github.com/ascompleted/await/internal/recipes/remote/natswork"
)

// bench prints what jobs cost, as ratios. Each is the median of several rounds.
func bench(ctx context.Context, c *config, stdout io.Writer) error {
	if c.jobs < 1 || c.rounds < 1 {
		return errors.New("a benchmark needs at least one of -jobs and one of -rounds")
	}
	stop, err := serveNATS(c)
	if err != nil {
		return err
	}
	defer stop()
	ways := []way{
		{c, []string{"-http", "-keys", string(c.keys)}, dialHTTP, plainHTTP},
		{c, []string{"-url", c.url, "-keys", string(c.keys)}, dialNATS, plainNATS},
	}
	fmt.Fprint(stdout, "| | `httpwork` | `natswork` |\n|---|---|---|\n")
	row := func(what string, ratio func(way) (float64, error)) error {
		fmt.Fprintf(stdout, "| %s ", what)
		for _, w := range ways {
			r, err := ratio(w)
			if err != nil {
				return fmt.Errorf("%s: %w", what, err)
			}
			fmt.Fprintf(stdout, "| %.2g ", r)
		}
		fmt.Fprintln(stdout, "|")
		return nil
	}
	err = row("Time of a job of 0 ms / time of a plain request", func(w way) (float64, error) { return w.overhead(ctx) })
	if err != nil {
		return err
	}
	for _, workers := range []int{1, 4, 16} {
		what := fmt.Sprintf("Workers: %d. Jobs of 0 ms a second / plain requests a second, one after another", workers)
		err := row(what, func(w way) (float64, error) { return w.throughput(ctx, workers, 0) })
		if err != nil {
			return err
		}
	}
	for _, workers := range []int{1, 4, 16} {
		what := fmt.Sprintf("Workers: %d. Jobs of 10 ms a second / %d, the most there can be", workers, 100*workers)
		err := row(what, func(w way) (float64, error) { return w.throughput(ctx, workers, 10*time.Millisecond) })
		if err != nil {
			return err
		}
	}
	return row("Time from the kill of a worker to the result of its job / time of the job, 100 ms", func(w way) (float64, error) { return w.killed(ctx) })
}

// A way is how a caller reaches workers.
type way struct {
	*config
	args  []string // of a worker or a peer
	dial  func(ctx context.Context, c *config, urls []string) (do do, hangUp func(), err error)
	plain func(c *config, url string) (request do, hangUp func(), err error)
}

func dialHTTP(_ context.Context, c *config, urls []string) (do, func(), error) {
	pool, err := httpwork.NewPool(c.keys, urls...)
	if err != nil {
		return nil, nil, err
	}
	return pool.Do, pool.Close, nil
}

func dialNATS(ctx context.Context, c *config, _ []string) (do, func(), error) {
	nc, err := natswork.Connect(c.url, natswork.Caller, c.keys)
	if err != nil {
		return nil, nil, err
	}
	queue, err := natswork.NewQueue(ctx, nc)
	if err != nil {
		nc.Close()
		return nil, nil, err
	}
	return queue.Do, nc.Close, nil
}

// with calls f with workers and a peer.
func (w way) with(ctx context.Context, n int, f func(job, plain do, workers *workers) (float64, error)) (float64, error) {
	workers, urls, err := hire(n, append(slices.Clone(w.args), "-worker")...)
	defer workers.dismiss()
	if err != nil {
		return 0, err
	}
	peer, address, err := hire(1, append(slices.Clone(w.args), "-peer")...)
	defer peer.dismiss()
	if err != nil {
		return 0, err
	}
	job, hangUp, err := w.dial(ctx, w.config, urls)
	if err != nil {
		return 0, err
	}
	defer hangUp()
	plain, hangUp, err := w.plain(w.config, address[0])
	if err != nil {
		return 0, err
	}
	defer hangUp()
	for range n { // connects, and has the workers ready
		if _, err := each(ctx, job, jobs(n, 0), n); err != nil {
			return 0, err
		}
	}
	return f(job, plain, workers)
}

// overhead is the time of a job over that of a plain request.
func (w way) overhead(ctx context.Context) (float64, error) {
	return w.with(ctx, 1, func(job, plain do, _ *workers) (float64, error) {
		return w.median(func() (float64, error) {
			request, err := each(ctx, plain, jobs(w.jobs, 0), 1)
			if err != nil {
				return 0, err
			}
			whole, err := each(ctx, job, jobs(w.jobs, 0), 1)
			return whole.Seconds() / request.Seconds(), err
		})
	})
}

// throughput is jobs a second, over as many as there could be: if they take no
// time, those of a plain request after another.
func (w way) throughput(ctx context.Context, n int, d time.Duration) (float64, error) {
	return w.with(ctx, n, func(job, plain do, _ *workers) (float64, error) {
		return w.median(func() (float64, error) {
			request, err := each(ctx, plain, jobs(w.jobs, 0), 1)
			if err != nil {
				return 0, err
			}
			many := jobs(w.jobs*n, d)
			whole, err := each(ctx, job, many, len(many))
			least := request.Seconds() / float64(w.jobs)
			if d > 0 {
				least = d.Seconds() / float64(n)
			}
			return least * float64(len(many)) / whole.Seconds(), err
		})
	})
}

// killed is the time until a job is done after its worker was killed, over the
// time that the job takes.
func (w way) killed(ctx context.Context) (float64, error) {
	return w.median(func() (float64, error) {
		for {
			r, err := w.with(ctx, 2, killOne(ctx))
			if !errors.Is(err, errLate) {
				return r, err
			}
		}
	})
}

var errLate = errors.New("the job was done before its worker was killed")

func killOne(ctx context.Context) func(job, plain do, workers *workers) (float64, error) {
	const long = 100 * time.Millisecond
	return func(job, _ do, workers *workers) (float64, error) {
		kill := workers.accident(1)
		victim := func(ctx context.Context) ([]byte, error) { return job(ctx, fmt.Appendf(nil, "1 %v", long)) }
		var killed time.Time
		for i, r := range await.AsCompleted(ctx, []await.Task[[]byte]{kill, victim}) {
			switch {
			case r.Err != nil:
				return 0, r.Err
			case i == 0:
				killed = time.Now()
			case killed.IsZero():
				return 0, errLate
			default:
				return time.Since(killed).Seconds() / long.Seconds(), nil
			}
		}
		return 0, context.Cause(ctx)
	}
}

// median returns the median of some rounds.
func (w way) median(round func() (float64, error)) (float64, error) {
	all := make([]float64, w.rounds)
	for i := range all {
		var err error
		if all[i], err = round(); err != nil {
			return 0, err
		}
	}
	slices.Sort(all)
	return all[len(all)/2], nil
}

// jobs are n jobs that take that long, and of which a worker prints nothing.
func jobs(n int, d time.Duration) [][]byte {
	return slices.Repeat([][]byte{fmt.Appendf(nil, " %v", d)}, n)
}

// each returns how long all jobs take, so many at once.
func each(ctx context.Context, do do, jobs [][]byte, atOnce int) (time.Duration, error) {
	start := time.Now()
	_, err := await.Gather(ctx, await.Tasks(jobs, do), await.Limit(atOnce))
	return time.Since(start), err
}
