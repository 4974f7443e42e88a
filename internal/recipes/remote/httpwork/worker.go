package httpwork

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/ascompleted/await"
	"github.com/ascompleted/await/internal/recipes/remote/keys"
)

// Serve is a worker. It does one job at a time for callers that have the token
// of the keys, until ctx ends and its job has returned. It returns why it
// ended, and closes the listener.
//
// The context of do ends when nobody waits for the result any more. A panic of
// do is the job's error.
func Serve(ctx context.Context, listener net.Listener, dir keys.Dir, do func(ctx context.Context, job []byte) ([]byte, error)) error {
	defer listener.Close()
	config, err := dir.Server()
	if err != nil {
		return err
	}
	token, err := dir.Token()
	if err != nil {
		return err
	}
	w := &worker{secret: digest("Bearer " + token), do: do, busy: make(chan struct{}, 1)}
	server := http.Server{
		Handler:           w,
		TLSConfig:         config,
		Protocols:         onlyHTTP2(),
		HTTP2:             http2,
		ReadHeaderTimeout: patience, // the limit of the TLS handshake, too
		IdleTimeout:       idle,
		MaxHeaderBytes:    maxHeader,
	}
	stop := context.AfterFunc(ctx, func() { server.Close() })
	defer stop()
	err = server.ServeTLS(listener, "", "")
	w.busy <- struct{}{} // the last job has returned
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

type worker struct {
	secret [sha256.Size]byte
	do     func(ctx context.Context, job []byte) ([]byte, error)
	busy   chan struct{} // full while the worker does a job
}

func (w *worker) ServeHTTP(response http.ResponseWriter, r *http.Request) {
	response.Header().Set(jobID, r.Header.Get(jobID))
	status, text := w.serve(response, r)
	response.WriteHeader(status)
	response.Write(text) //nolint:errcheck // the client will notice
}

// serve returns the answer.
func (w *worker) serve(response http.ResponseWriter, r *http.Request) (status int, text []byte) {
	got := digest(r.Header.Get("Authorization"))
	switch {
	case r.Header.Get("Authorization") == "":
		return http.StatusUnauthorized, []byte("the request has no token")
	case subtle.ConstantTimeCompare(got[:], w.secret[:]) != 1:
		return http.StatusUnauthorized, []byte("the token is wrong")
	case r.ContentLength > MaxSize:
		return http.StatusRequestEntityTooLarge, tooLarge("job")
	case len(w.busy) == cap(w.busy): // also below, but then the job has been sent in vain
		return http.StatusServiceUnavailable, []byte("the worker is busy")
	}

	job, err := read(response, r)
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return http.StatusRequestTimeout, fmt.Appendf(nil, "the job was not here after %v", transfer)
	case err != nil: // the client has gone, or sends nonsense
		return http.StatusBadRequest, fmt.Appendf(nil, "read the job: %v", err)
	case len(job) > MaxSize:
		return http.StatusRequestEntityTooLarge, tooLarge("job")
	}

	select {
	case w.busy <- struct{}{}:
		defer func() { <-w.busy }()
	default:
		return http.StatusServiceUnavailable, []byte("the worker is busy")
	}
	task := func(ctx context.Context) ([]byte, error) { return w.do(ctx, job) }
	result := await.Settle(r.Context(), []await.Task[[]byte]{task}, await.Recover())[0]
	switch {
	case result.Err != nil:
		return http.StatusInternalServerError, []byte(result.Err.Error())
	case len(result.Value) > MaxSize:
		return http.StatusInternalServerError, tooLarge("result")
	}
	return http.StatusOK, result.Value
}

// read reads at most one byte more than a job may have. The time limit is for
// the body alone: that of a http.Server would end the job as well.
func read(response http.ResponseWriter, r *http.Request) ([]byte, error) {
	control := http.NewResponseController(response)
	if err := control.SetReadDeadline(time.Now().Add(transfer)); err != nil {
		return nil, err
	}
	job, err := io.ReadAll(io.LimitReader(r.Body, MaxSize+1))
	return job, errors.Join(err, control.SetReadDeadline(time.Time{}))
}

// digest makes texts of all lengths comparable in the same time.
func digest(text string) [sha256.Size]byte { return sha256.Sum256([]byte(text)) }

func tooLarge(what string) []byte {
	return fmt.Appendf(nil, "the %s has more than %d bytes", what, MaxSize)
}
