// Package httpwork spreads jobs over worker processes by net/http. There is no
// queue and nothing to install: [Pool.Do] is a task that posts a job to a free
// worker, and the connection tells all the rest. A worker that dies breaks it,
// and Do goes to the next one at once. A task that ends breaks it too, and the
// context of the job in the worker ends.
package httpwork

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"

	"github.com/ascompleted/await"
)

// ErrNoWorkers is the error of a job when all workers are dead.
var ErrNoWorkers = errors.New("no worker is left")

// tries bounds how many workers a job can kill.
const tries = 3

// A Pool is workers that do one job at a time.
type Pool struct {
	free  chan string // the URLs of those without a job; closed when none is alive
	alive atomic.Int64
}

// NewPool returns a pool of the workers with these URLs.
func NewPool(urls ...string) *Pool {
	p := &Pool{free: make(chan string, len(urls))}
	p.alive.Store(int64(len(urls)))
	for _, url := range urls {
		p.free <- url
	}
	return p
}

// Do waits for a free worker and has it do the job. If the worker dies, the
// next one does it. If the job fails, the error has the worker's words.
func (p *Pool) Do(ctx context.Context, job []byte) ([]byte, error) {
	for range tries {
		select {
		case worker, ok := <-p.free:
			if !ok {
				return nil, ErrNoWorkers
			}
			status, result, err := post(ctx, worker, job)
			if err != nil && ctx.Err() == nil {
				p.bury()
				continue
			}
			p.free <- worker
			if err == nil && status != http.StatusOK {
				return nil, errors.New(string(result))
			}
			return result, err
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
	return nil, fmt.Errorf("given up: %d workers died of the job", tries)
}

// bury counts a worker less.
func (p *Pool) bury() {
	if p.alive.Add(-1) == 0 {
		close(p.free)
	}
}

// post returns an error only if there is no answer, or only part of one.
func post(ctx context.Context, url string, job []byte) (status int, answer []byte, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(job))
	if err != nil {
		return 0, nil, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, nil, err
	}
	defer response.Body.Close()
	answer, err = io.ReadAll(response.Body)
	return response.StatusCode, answer, err
}

// Handler is a worker. The context of do ends when nobody waits for the result
// any more. A panic of do is the job's error.
func Handler(do func(ctx context.Context, job []byte) ([]byte, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// The server notices that the client has gone only when the body
		// has been read.
		job, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		task := func(ctx context.Context) ([]byte, error) { return do(ctx, job) }
		result := await.Settle(r.Context(), []await.Task[[]byte]{task}, await.Recover())[0]
		if result.Err != nil {
			http.Error(w, result.Err.Error(), http.StatusInternalServerError)
			return
		}
		w.Write(result.Value) //nolint:errcheck // the client will notice
	})
}
