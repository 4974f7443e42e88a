package httpwork_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ascompleted/await"
	"github.com/ascompleted/await/internal/recipes/remote/child/childtest"
	"github.com/ascompleted/await/internal/recipes/remote/httpwork"
)

// TestMain lets the test binary be the workers too.
func TestMain(m *testing.M) {
	childtest.Main(m, map[string]func(args []string) error{"worker": worker})
}

// worker is a process that does jobs.
func worker(args []string) error {
	handler := httpwork.Handler(childtest.Worker(args[0]))
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Printf("http://%s\n", listener.Addr())
	return http.Serve(listener, handler)
}

// startWorkers starts workers a, b and c.
func startWorkers(c *childtest.Cast) *httpwork.Pool {
	c.Helper()
	var urls []string
	for _, name := range []string{"a", "b", "c"} {
		c.Start(name, "worker", name)
		urls = append(urls, c.Next("http://").Text)
	}
	return httpwork.NewPool(urls...)
}

func TestTheJobOfAKilledWorkerIsDoneByAnother(t *testing.T) {
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
	c := childtest.New(t)
	pool := startWorkers(c)
	c.LeaveBusy(pool.Do, 9, 3)
	for range 3 {
		assert.Contains(t, c.Next("").Text, "ended job")
	}
	c.Release("a", 1)
	c.Release("b", 1)
	c.Release("c", 1)
	by := c.Perform(pool.Do, 3, func() {})
	assert.Len(t, slices.Compact(slices.Sorted(maps.Values(by))), 3, "all workers are free again")
}

func TestHowAJobFails(t *testing.T) {
	server := httptest.NewServer(httpwork.Handler(func(_ context.Context, job []byte) ([]byte, error) {
		switch string(job) {
		case "error":
			return nil, errors.New("no such page")
		case "panic":
			panic("out of range")
		}
		return []byte("fine"), nil
	}))
	t.Cleanup(server.Close)
	pool := httpwork.NewPool(server.URL)
	for job, want := range map[string]string{"error": "no such page", "panic": "out of range"} {
		_, err := pool.Do(t.Context(), []byte(job))
		require.ErrorContains(t, err, want)
	}
	result, err := pool.Do(t.Context(), []byte("good"))
	require.NoError(t, err)
	assert.Equal(t, "fine", string(result))
}

func TestAJobThatKillsItsWorkersIsGivenUp(t *testing.T) {
	broken := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		panic(http.ErrAbortHandler)
	}))
	t.Cleanup(broken.Close)
	pool := httpwork.NewPool(broken.URL, broken.URL, broken.URL, broken.URL)
	_, err := pool.Do(t.Context(), nil)
	require.EqualError(t, err, "given up: 3 workers died of the job")
	_, err = pool.Do(t.Context(), nil)
	assert.ErrorIs(t, err, httpwork.ErrNoWorkers)
}
