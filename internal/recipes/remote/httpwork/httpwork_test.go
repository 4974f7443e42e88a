package httpwork_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ascompleted/await"
	"github.com/ascompleted/await/internal/recipes/remote/child/childtest"
	"github.com/ascompleted/await/internal/recipes/remote/httpwork"
	"github.com/ascompleted/await/internal/recipes/remote/keys"
	"github.com/ascompleted/await/internal/recipes/remote/keys/keystest"
)

// TestMain lets the test binary be the workers too.
func TestMain(m *testing.M) {
	childtest.Main(m, map[string]func(args []string) error{"worker": worker})
}

// worker is a process that does jobs.
func worker(args []string) error {
	name, dir := args[0], keys.Dir(args[1])
	do := childtest.Worker(name)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Printf("https://%s\n", listener.Addr())
	return httpwork.Serve(context.Background(), listener, dir, do)
}

// startWorkers starts workers a, b and c.
func startWorkers(c *childtest.Cast) *httpwork.Pool {
	c.Helper()
	dir := keystest.New(c.T)
	var urls []string
	for _, name := range []string{"a", "b", "c"} {
		c.Start(name, "worker", name, string(dir))
		urls = append(urls, c.Next("https://").Text)
	}
	return newPool(c.T, dir, urls...)
}

func newPool(t *testing.T, dir keys.Dir, urls ...string) *httpwork.Pool {
	t.Helper()
	pool, err := httpwork.NewPool(dir, urls...)
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	return pool
}

// hire starts a worker in this process. It and its job end with the test.
func hire(t *testing.T, dir keys.Dir, do func(ctx context.Context, job []byte) ([]byte, error)) (url string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- httpwork.Serve(ctx, listener, dir, do) }()
	t.Cleanup(func() {
		cancel()
		assert.ErrorIs(t, <-ended, context.Canceled)
	})
	return "https://" + listener.Addr().String()
}

func upper(_ context.Context, job []byte) ([]byte, error) { return bytes.ToUpper(job), nil }

func TestTheJobOfAKilledWorkerIsDoneByAnother(t *testing.T) {
	t.Parallel()
	c := childtest.New(t)
	pool := startWorkers(c)
	by := c.Perform(pool.Do, 9, func() {
		c.AllBusy(3)
		c.Kill("a")
		c.Release("b", 100)
		c.Release("c", 100)
	})
	assert.NotContains(t, slices.Collect(maps.Values(by)), "a")
}

func TestWhenAllWorkersAreDeadEveryJobFailsAtOnce(t *testing.T) {
	t.Parallel()
	c := childtest.New(t)
	pool := startWorkers(c)
	kill := func(context.Context) ([]byte, error) {
		c.AllBusy(3)
		c.Kill("a")
		c.Kill("b")
		c.Kill("c")
		return nil, httpwork.ErrNoWorkers
	}
	for _, r := range await.AsCompleted(t.Context(), append(await.Tasks(childtest.Jobs(9), pool.Do), kill)) {
		assert.ErrorIs(t, r.Err, httpwork.ErrNoWorkers)
	}
}

func TestLeavingTheLoopEndsTheJobsInTheWorkers(t *testing.T) {
	t.Parallel()
	c := childtest.New(t)
	pool := startWorkers(c)
	c.LeaveBusy(pool.Do, 9, 3)
	for range 3 {
		assert.Contains(t, c.Next("").Text, "ended job")
	}
	c.Perform(pool.Do, 3, func() {
		c.AllBusy(3) // so all workers are free again
		for _, name := range []string{"a", "b", "c"} {
			c.Release(name, 100)
		}
	})
}

func TestHowAJobFails(t *testing.T) {
	t.Parallel()
	dir := keystest.New(t)
	pool := newPool(t, dir, hire(t, dir, func(_ context.Context, job []byte) ([]byte, error) {
		switch string(job) {
		case "error":
			return nil, errors.New("no such page\nat all")
		case "panic":
			panic("out of range")
		case "exit":
			runtime.Goexit()
		case "large":
			return make([]byte, httpwork.MaxSize+1), nil
		case "largest":
			return make([]byte, httpwork.MaxSize), nil
		}
		return []byte("fine"), nil
	}))
	for job, want := range map[string]string{
		"error":                                  "no such page\nat all",
		"panic":                                  "out of range",
		"exit":                                   "runtime.Goexit",
		"large":                                  "the result has more than 1048576 bytes",
		string(make([]byte, httpwork.MaxSize+1)): "the job has more than 1048576 bytes",
	} {
		_, err := pool.Do(t.Context(), []byte(job))
		require.ErrorContains(t, err, want)
	}
	for job, want := range map[string]int{
		"good":                                 len("fine"),
		"largest":                              httpwork.MaxSize,
		string(make([]byte, httpwork.MaxSize)): len("fine"),
	} {
		result, err := pool.Do(t.Context(), []byte(job))
		require.NoError(t, err)
		assert.Len(t, result, want)
	}
}

func TestAJobThatKillsItsWorkersIsGivenUp(t *testing.T) {
	t.Parallel()
	dir := keystest.New(t)
	var urls []string
	for range 4 {
		urls = append(urls, impostor(t, dir, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
	}
	pool := newPool(t, dir, urls...)
	_, err := pool.Do(t.Context(), nil)
	require.ErrorContains(t, err, "given up: 3 workers died of the job")
	_, err = pool.Do(t.Context(), nil)
	assert.ErrorIs(t, err, httpwork.ErrNoWorkers)
}

func TestAPoolOfNoneIsAnError(t *testing.T) {
	t.Parallel()
	_, err := httpwork.NewPool(keystest.New(t))
	assert.ErrorIs(t, err, httpwork.ErrNoWorkers)
}

func TestTwoCallersShareAWorker(t *testing.T) {
	t.Parallel()
	dir := keystest.New(t)
	var atOnce atomic.Int32
	url := hire(t, dir, func(_ context.Context, job []byte) ([]byte, error) {
		defer atOnce.Add(-1)
		if n := atOnce.Add(1); n != 1 {
			return nil, fmt.Errorf("%d jobs at once", n)
		}
		runtime.Gosched()
		return job, nil
	})
	one, two := newPool(t, dir, url), newPool(t, dir, url)
	tasks := append(await.Tasks(childtest.Jobs(20), one.Do), await.Tasks(childtest.Jobs(20), two.Do)...)
	_, err := await.Gather(t.Context(), tasks)
	assert.NoError(t, err)
}
