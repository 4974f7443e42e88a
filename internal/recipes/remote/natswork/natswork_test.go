package natswork_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ascompleted/await"
	"github.com/ascompleted/await/internal/recipes/remote/child"
	"github.com/ascompleted/await/internal/recipes/remote/child/childtest"
	"github.com/ascompleted/await/internal/recipes/remote/embedded"
	"github.com/ascompleted/await/internal/recipes/remote/natswork"
)

// TestMain lets the test binary be the other processes too.
func TestMain(m *testing.M) {
	childtest.Main(m, map[string]func(args []string) error{"worker": worker, "caller": caller, "server": server})
}

// worker is a process that does jobs.
func worker(args []string) error {
	name, url := args[0], args[1]
	do := childtest.Worker(name)
	nc, err := natswork.Connect(url)
	if err != nil {
		return err
	}
	return natswork.Work(context.Background(), nc, do)
}

// caller is a process that waits for jobs.
func caller(args []string) error {
	child.Follow(func(string) {})
	nc, err := natswork.Connect(args[0])
	if err != nil {
		return err
	}
	queue, err := natswork.NewQueue(context.Background(), nc)
	if err != nil {
		return err
	}
	for range await.AsCompleted(context.Background(), await.Tasks(childtest.Jobs(2), queue.Do)) {
		return errors.New("a job came to its end")
	}
	return nil
}

// server is a process with a NATS server.
func server(args []string) error {
	child.Follow(func(string) {})
	port, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	s, err := embedded.Serve(args[0], port)
	if err != nil {
		return err
	}
	fmt.Println(s.ClientURL())
	s.WaitForShutdown()
	return nil
}

// startWorkers starts workers of the server, named a, b and so on.
func startWorkers(c *childtest.Cast, n int, url string) {
	c.Helper()
	for _, name := range []string{"a", "b", "c"}[:n] {
		c.Start(name, "worker", name, url)
	}
}

// serve starts a server in this process that ends with the test.
func serve(t *testing.T) (url string) {
	t.Helper()
	s, err := embedded.Serve(t.TempDir(), embedded.AnyPort)
	require.NoError(t, err)
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	return s.ClientURL()
}

func connect(t *testing.T, url string, options ...nats.Option) *nats.Conn {
	t.Helper()
	nc, err := natswork.Connect(url, options...)
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	return nc
}

func newQueue(t *testing.T, nc *nats.Conn) *natswork.Queue {
	t.Helper()
	queue, err := natswork.NewQueue(t.Context(), nc)
	require.NoError(t, err)
	return queue
}

// requireQueued waits until the queue has that many jobs, those at work
// included.
func requireQueued(t *testing.T, nc *nats.Conn, n int) {
	t.Helper()
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		stream, err := js.Stream(t.Context(), "JOBS")
		return err == nil && stream.CachedInfo().State.Msgs == uint64(n)
	}, childtest.Watchdog, 10*time.Millisecond)
}

func TestTheJobOfAKilledWorkerIsDoneByAnother(t *testing.T) {
	t.Parallel()
	url := serve(t)
	nc := connect(t, url)
	c := childtest.New(t)
	startWorkers(c, 3, url)

	by := c.Perform(newQueue(t, nc).Do, 9, func() {
		c.AllBusy(3)
		c.Kill("a")
		c.Release("b", 100)
		c.Release("c", 100)
	})
	assert.NotContains(t, slices.Collect(maps.Values(by)), "a")
	requireQueued(t, nc, 0)
}

func TestLeavingTheLoopEndsTheJobsWithinASecond(t *testing.T) {
	t.Parallel()
	url := serve(t)
	nc := connect(t, url)
	c := childtest.New(t)
	startWorkers(c, 3, url)

	c.LeaveBusy(newQueue(t, nc).Do, 9, 3)
	left := time.Now()
	for range 3 {
		assert.Contains(t, c.Next("").Text, "ended job")
	}
	assert.Less(t, time.Since(left), time.Second)
	requireQueued(t, nc, 0)
	assert.Empty(t, c.Events, "what had not begun has not begun since")
}

func TestKillingTheCallerEndsTheJobs(t *testing.T) {
	t.Parallel()
	url := serve(t)
	c := childtest.New(t)
	startWorkers(c, 2, url)
	c.Start("caller", "caller", url)

	c.AllBusy(2)
	c.Kill("caller")
	for range 2 {
		assert.Contains(t, c.Next("ended ").Text, "the caller has been silent")
	}
	requireQueued(t, connect(t, url), 2) // in case it comes back
}

func TestACallerThatComesBackGetsItsResults(t *testing.T) {
	t.Parallel()
	url := serve(t)
	c := childtest.New(t)
	startWorkers(c, 1, url)
	cable := new(cable)
	nc := connect(t, url, nats.SetCustomDialer(cable))

	c.Perform(newQueue(t, nc).Do, 1, func() {
		c.Next("begun ")
		cable.pull()
		assert.Contains(t, c.Next("ended ").Text, "the caller has been silent")
		cable.plug()
		c.Next("begun ")
		c.Release("a", 1)
	})
	requireQueued(t, nc, 0)
}

func TestNothingIsLostWhenTheServerIsKilledAndStartsAgain(t *testing.T) {
	t.Parallel()
	c := childtest.New(t)
	dir := t.TempDir()
	c.Start("server", "server", dir, strconv.Itoa(embedded.AnyPort))
	url := c.Next("nats://").Text
	_, port, _ := strings.Cut(url, "127.0.0.1:")
	nc := connect(t, url)
	startWorkers(c, 2, url)

	var done string
	c.Perform(newQueue(t, nc).Do, 6, func() {
		done = c.AllBusy(2)["a"]
		c.Release("a", 1)
		c.Next("begun ") // so what it had before is acknowledged
		requireQueued(t, nc, 5)
		c.Kill("server")
		c.Start("server", "server", dir, port)
		assert.Equal(t, url, c.Next("nats://").Text)
		c.Release("a", 100)
		c.Release("b", 100)
	})
	requireQueued(t, nc, 0)
	for len(c.Events) > 0 {
		assert.NotEqual(t, "begun "+done, (<-c.Events).Text)
	}
}

func TestAWorkerTellsTheServerThatItIsAlive(t *testing.T) {
	t.Parallel()
	url := serve(t)
	nc := connect(t, url)
	c := childtest.New(t)
	startWorkers(c, 1, url)
	heard, err := nc.SubscribeSync("$JS.ACK.JOBS.>")
	require.NoError(t, err)

	c.Perform(newQueue(t, nc).Do, 1, func() {
		c.AllBusy(1)
		m, err := heard.NextMsg(childtest.Watchdog)
		if assert.NoError(t, err) {
			assert.Equal(t, "+WPI", string(m.Data), "work in progress")
		}
		c.Release("a", 1)
	})
}

// hire starts a worker in this process, and returns what stops it.
func hire(t *testing.T, nc *nats.Conn, do func(ctx context.Context, job []byte) ([]byte, error)) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- natswork.Work(ctx, nc, do) }()
	stop = sync.OnceFunc(func() {
		cancel()
		assert.ErrorIs(t, <-ended, context.Canceled)
	})
	t.Cleanup(stop)
	return stop
}

func TestHowAJobFails(t *testing.T) {
	t.Parallel()
	nc := connect(t, serve(t))
	queue := newQueue(t, nc)
	hire(t, nc, func(_ context.Context, job []byte) ([]byte, error) {
		switch string(job) {
		case "error":
			return nil, errors.New("no such page\nat all")
		case "panic":
			panic("out of range")
		case "exit":
			runtime.Goexit()
		case "large":
			return make([]byte, nc.MaxPayload()+1), nil
		}
		return []byte("fine"), nil
	})
	for job, want := range map[string]string{
		"error": "no such page\nat all",
		"panic": "out of range",
		"exit":  "runtime.Goexit",
		"large": "maximum payload exceeded",
	} {
		_, err := queue.Do(t.Context(), []byte(job))
		require.ErrorContains(t, err, want)
	}
	result, err := queue.Do(t.Context(), []byte("good"))
	require.NoError(t, err)
	assert.Equal(t, "fine", string(result))
	requireQueued(t, nc, 0)
}

// fails has a job done and returns its error when it is there.
func fails(ctx context.Context, queue *natswork.Queue, job string) <-chan error {
	failed := make(chan error, 1)
	go func() {
		_, err := queue.Do(ctx, []byte(job))
		failed <- err
	}()
	return failed
}

func TestAJobThatWasQueuedAlthoughQueueingFailedDoesNotBegin(t *testing.T) {
	t.Parallel()
	url := serve(t)
	cable := new(cable)
	queue := newQueue(t, connect(t, url, nats.SetCustomDialer(cable)))
	nc := connect(t, url)

	cable.deaf.Lock()
	ctx, cancel := context.WithTimeout(t.Context(), childtest.Watchdog)
	failed := fails(ctx, queue, "ghost")
	requireQueued(t, nc, 1)
	cancel() // the server has the job, but the caller does not know
	require.EqualError(t, <-failed, "queue the job: context canceled")
	cable.deaf.Unlock()

	hire(t, nc, func(context.Context, []byte) ([]byte, error) {
		assert.Fail(t, "the job has begun")
		return nil, nil
	})
	requireQueued(t, nc, 0)
}

// hireIdler starts a worker in this process that begins jobs but ends none.
func hireIdler(t *testing.T, nc *nats.Conn) (begun <-chan struct{}, stop func()) {
	t.Helper()
	begins := make(chan struct{}, 100)
	return begins, hire(t, nc, func(ctx context.Context, _ []byte) ([]byte, error) {
		begins <- struct{}{}
		<-ctx.Done()
		return nil, context.Cause(ctx)
	})
}

func TestAWorkerThatIsStoppedGivesItsJobBackAtOnce(t *testing.T) {
	t.Parallel()
	nc := connect(t, serve(t))
	var stopped time.Time
	childtest.New(t).Perform(newQueue(t, nc).Do, 1, func() {
		begun, stop := hireIdler(t, nc)
		select {
		case <-begun:
		case <-time.After(childtest.Watchdog):
		}
		stop()
		stopped = time.Now()
		hire(t, nc, func(_ context.Context, job []byte) ([]byte, error) { return job, nil })
	})
	assert.Less(t, time.Since(stopped), 2*time.Second, "and not when it counts as dead")
}

func TestAJobThatNoWorkerEndsIsGivenUp(t *testing.T) {
	t.Parallel()
	nc := connect(t, serve(t))
	ctx, cancel := context.WithTimeout(t.Context(), childtest.Watchdog)
	defer cancel()
	failed := fails(ctx, newQueue(t, nc), "poison")
	for hired := 1; ; hired++ {
		begun, stop := hireIdler(t, nc)
		select {
		case <-begun:
			stop()
		case err := <-failed:
			require.ErrorContains(t, err, "given up: 20 workers have begun the job")
			assert.LessOrEqual(t, hired, 21)
			return
		}
	}
}

// cable is how a caller connects.
type cable struct {
	mu     sync.Mutex
	conn   net.Conn
	pulled bool

	deaf sync.RWMutex // while it is locked, nothing from the server gets through
}

func (c *cable) Dial(network, address string) (net.Conn, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.pulled {
		return nil, errors.New("the cable is pulled")
	}
	conn, err := net.Dial(network, address)
	c.conn = &end{conn, &c.deaf}
	return c.conn, err
}

func (c *cable) pull() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pulled = true
	c.conn.Close() //nolint:errcheck // it may be closed already
}

func (c *cable) plug() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pulled = false
}

// end is the caller's end of the cable.
type end struct {
	net.Conn
	deaf *sync.RWMutex
}

func (e *end) Read(b []byte) (int, error) {
	n, err := e.Conn.Read(b)
	e.deaf.RLock()
	defer e.deaf.RUnlock()
	return n, err
}
