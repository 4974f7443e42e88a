package httpwork

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ascompleted/await/internal/recipes/remote/keys"
)

// ErrNoWorkers is the error of a job when no worker is left that could do it.
// The text goes on with why the last one is gone.
var ErrNoWorkers = errors.New("no worker is left")

// tries bounds how many workers a job can kill.
const tries = 3

// A Pool is workers that do one job at a time.
type Pool struct {
	transport *http.Transport
	token     string
	free      chan string // the URLs of those without a job; closed when none is alive

	mu    sync.Mutex
	alive int
	last  error // why a worker was buried
}

// NewPool returns a pool of the workers with these URLs, which have the same
// keys.
func NewPool(dir keys.Dir, urls ...string) (*Pool, error) {
	if len(urls) == 0 {
		return nil, ErrNoWorkers
	}
	config, err := dir.Client()
	if err != nil {
		return nil, err
	}
	config.VerifyConnection = func(state tls.ConnectionState) error {
		if state.NegotiatedProtocol != "h2" { // else the transport would try HTTP/1
			return errors.New("the server does not speak HTTP/2")
		}
		return nil
	}
	token, err := dir.Token()
	if err != nil {
		return nil, err
	}
	p := &Pool{
		transport: &http.Transport{
			DialContext:            (&net.Dialer{Timeout: patience}).DialContext,
			TLSHandshakeTimeout:    patience,
			TLSClientConfig:        config,
			Protocols:              onlyHTTP2(),
			HTTP2:                  http2,
			IdleConnTimeout:        idle,
			MaxResponseHeaderBytes: maxHeader,
		},
		token: token,
		free:  make(chan string, len(urls)),
		alive: len(urls),
	}
	for _, worker := range urls {
		u, err := url.Parse(worker)
		if err != nil {
			return nil, err
		}
		if u.Scheme != "https" {
			return nil, fmt.Errorf("%s is not https, and would show the token to everybody", worker)
		}
		p.free <- worker
	}
	return p, nil
}

// Close closes the connections that no job uses.
func (p *Pool) Close() { p.transport.CloseIdleConnections() }

// Do waits for a free worker and has it do the job. If the worker dies, or is
// none, the next one does it. If the job fails, the error has the worker's
// words.
func (p *Pool) Do(ctx context.Context, job []byte) ([]byte, error) {
	if len(job) > MaxSize {
		return nil, failure(tooLarge("job"))
	}
	for died := 0; ; {
		select {
		case worker, ok := <-p.free:
			if !ok {
				return nil, fmt.Errorf("%w: %w", ErrNoWorkers, p.last)
			}
			result, err := p.post(ctx, worker, job)
			switch {
			case err == nil, errors.As(err, new(failure)):
				p.free <- worker
				return result, err
			case ctx.Err() != nil:
				p.free <- worker
				return nil, context.Cause(ctx)
			case errors.Is(err, errBusy): // with another caller's job, or the end of a canceled one
				time.AfterFunc(beat, func() { p.free <- worker })
				continue
			}
			slog.WarnContext(ctx, "no more jobs for this worker", "url", worker, "err", err)
			p.bury(fmt.Errorf("%s: %w", worker, err))
			if errors.As(err, new(*death)) {
				if died++; died == tries {
					return nil, fmt.Errorf("given up: %d workers died of the job, the last one of: %w", died, err)
				}
			}
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// bury counts a worker less.
func (p *Pool) bury(why error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last = why
	if p.alive--; p.alive == 0 {
		close(p.free)
	}
}

// A failure is the error of the job, whichever worker gets it.
type failure string

func (f failure) Error() string { return string(f) }

// A death is the end of a connection after the job was sent.
type death struct{ error }

func (d *death) Unwrap() error { return d.error }

var errBusy = errors.New("the worker is busy")

// post has the worker do the job. Errors other than failure and errBusy are
// those of a worker that can do nothing.
func (p *Pool) post(ctx context.Context, worker string, job []byte) ([]byte, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var connected atomic.Bool
	trace := &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { connected.Store(true) }}
	request, err := http.NewRequestWithContext(httptrace.WithClientTrace(ctx, trace), http.MethodPost, worker, bytes.NewReader(job))
	if err != nil {
		return nil, err
	}
	id := rand.Text()
	request.Header.Set(jobID, id)
	request.Header.Set("Authorization", "Bearer "+p.token)
	response, err := p.transport.RoundTrip(request) // a Client would take the job wherever an answer redirects it
	switch {
	case err != nil && connected.Load():
		return nil, &death{err}
	case err != nil:
		return nil, err
	}
	defer response.Body.Close()
	if got := response.Header.Get(jobID); got != id {
		return nil, fmt.Errorf("the answer is not for this job: status %q, job id %.40q", response.Status, got)
	}

	slow := time.AfterFunc(transfer, func() { cancel(fmt.Errorf("the answer was not here after %v", transfer)) })
	defer slow.Stop()
	answer, err := io.ReadAll(io.LimitReader(response.Body, MaxSize+1))
	switch {
	case err != nil && ctx.Err() != nil:
		return nil, &death{context.Cause(ctx)}
	case err != nil:
		return nil, &death{err}
	case len(answer) > MaxSize:
		return nil, failure(tooLarge("result"))
	}
	switch response.StatusCode {
	case http.StatusOK:
		return answer, nil
	case http.StatusInternalServerError, http.StatusRequestEntityTooLarge, http.StatusRequestTimeout:
		return nil, failure(answer)
	case http.StatusServiceUnavailable:
		return nil, errBusy
	default:
		return nil, fmt.Errorf("the worker refuses: %.200q", answer)
	}
}
