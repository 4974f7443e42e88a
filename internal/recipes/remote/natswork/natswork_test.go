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
	"github.com/ascompleted/await/internal/recipes/remote/keys"
	"github.com/ascompleted/await/internal/recipes/remote/keys/keystest"
	"github.com/ascompleted/await/internal/recipes/remote/natswork"
)

// TestMain lets the test binary be the other processes too.
func TestMain(m *testing.M) {
	childtest.Main(m, map[string]func(args []string) error{"worker": worker, "caller": caller, "server": server})
}

// worker is a process that does jobs.
func worker(args []string) error {
	name, url, dir := args[0], args[1], keys.Dir(args[2])
	do := childtest.Worker(name)
	nc, err := natswork.Connect(url, natswork.Worker, dir)
	if err != nil {
		return err
	}
	return natswork.Work(context.Background(), nc, do)
}

// caller is a process that waits for jobs.
func caller(args []string) error {
	child.Follow(func(string) {})
	nc, err := natswork.Connect(args[0], natswork.Caller, keys.Dir(args[1]))
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
	config, err := observed(keys.Dir(args[2]))
	if err != nil {
		return err
	}
	s, err := embedded.Serve(config, args[0], port)
	if err != nil {
		return err
	}
	fmt.Println(s.ClientURL())
	s.WaitForShutdown()
	return nil
}

// observed is a configuration with one more user, who can do everything.
func observed(dir keys.Dir) (string, error) {
	config, err := natswork.Config(dir)
	return strings.Replace(config, "users: [", "users: [ { user: observer, password: secret }", 1), err
}

// A site is a server and its keys.
type site struct {
	*testing.T
	url  string
	keys keys.Dir
}

// serve starts a server in this process that ends with the test.
func serve(t *testing.T) site {
	t.Helper()
	dir := keystest.New(t)
	config, err := observed(dir)
	require.NoError(t, err)
	s, err := embedded.Serve(config, t.TempDir(), embedded.AnyPort)
	require.NoError(t, err)
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	return site{t, s.ClientURL(), dir}
}

// startWorkers starts workers of the server, named a, b and so on.
func (s site) startWorkers(c *childtest.Cast, n int) {
	c.Helper()
	for _, name := range []string{"a", "b", "c"}[:n] {
		c.Start(name, "worker", name, s.url, string(s.keys))
	}
}

func (s site) connect(role natswork.Role, options ...nats.Option) *nats.Conn {
	s.Helper()
	nc, err := natswork.Connect(s.url, role, s.keys, options...)
	require.NoError(s, err)
	s.Cleanup(nc.Close)
	return nc
}

// newQueue returns the queue of a new caller.
func (s site) newQueue(options ...nats.Option) *natswork.Queue {
	s.Helper()
	queue, err := natswork.NewQueue(s.Context(), s.connect(natswork.Caller, options...))
	require.NoError(s, err)
	return queue
}

// observe returns the connection of somebody who can do everything.
func (s site) observe() *nats.Conn {
	s.Helper()
	config, err := s.keys.Client()
	require.NoError(s, err)
	nc, err := nats.Connect(s.url, nats.Secure(config), nats.UserInfo("observer", "secret"), nats.MaxReconnects(-1))
	require.NoError(s, err)
	s.Cleanup(nc.Close)
	return nc
}

// requireQueued waits until the queue has that many jobs, those at work
// included.
func (s site) requireQueued(n int) {
	s.Helper()
	nc := s.observe()
	defer nc.Close()
	js, err := jetstream.New(nc)
	require.NoError(s, err)
	require.Eventually(s, func() bool {
		stream, err := js.Stream(s.Context(), "JOBS")
		return err == nil && stream.CachedInfo().State.Msgs == uint64(n)
	}, childtest.Watchdog, 10*time.Millisecond)
}

func TestTheJobOfAKilledWorkerIsDoneByAnother(t *testing.T) {
	t.Parallel()
	s := serve(t)
	c := childtest.New(t)
	s.startWorkers(c, 3)

	by := c.Perform(s.newQueue().Do, 9, func() {
		c.AllBusy(3)
		c.Kill("a")
		c.Release("b", 100)
		c.Release("c", 100)
	})
	assert.NotContains(t, slices.Collect(maps.Values(by)), "a")
	s.requireQueued(0)
}

func TestLeavingTheLoopEndsTheJobsWithinASecond(t *testing.T) {
	t.Parallel()
	s := serve(t)
	c := childtest.New(t)
	s.startWorkers(c, 3)

	c.LeaveBusy(s.newQueue().Do, 9, 3)
	left := time.Now()
	for range 3 {
		assert.Contains(t, c.Next("").Text, "ended job")
	}
	assert.Less(t, time.Since(left), time.Second)
	s.requireQueued(0)
	assert.Empty(t, c.Events, "what had not begun has not begun since")
}

func TestKillingTheCallerEndsTheJobs(t *testing.T) {
	t.Parallel()
	s := serve(t)
	c := childtest.New(t)
	s.startWorkers(c, 2)
	c.Start("caller", "caller", s.url, string(s.keys))

	c.AllBusy(2)
	c.Kill("caller")
	for range 2 {
		assert.Contains(t, c.Next("ended ").Text, "the caller has been silent")
	}
	s.requireQueued(2) // in case it comes back
}

func TestACallerThatComesBackGetsItsResults(t *testing.T) {
	t.Parallel()
	s := serve(t)
	c := childtest.New(t)
	s.startWorkers(c, 1)
	cable := new(cable)

	c.Perform(s.newQueue(nats.SetCustomDialer(cable)).Do, 1, func() {
		c.Next("begun ")
		cable.pull()
		assert.Contains(t, c.Next("ended ").Text, "the caller has been silent")
		cable.plug()
		c.Next("begun ")
		c.Release("a", 1)
	})
	s.requireQueued(0)
}

func TestNothingIsLostWhenTheServerIsKilledAndStartsAgain(t *testing.T) {
	t.Parallel()
	c := childtest.New(t)
	dir := t.TempDir()
	s := site{T: t, keys: keystest.New(t)}
	c.Start("server", "server", dir, strconv.Itoa(embedded.AnyPort), string(s.keys))
	s.url = c.Next("tls://").Text
	_, port, _ := strings.Cut(s.url, "127.0.0.1:")
	s.startWorkers(c, 2)

	var done string
	c.Perform(s.newQueue().Do, 6, func() {
		done = c.AllBusy(2)["a"]
		c.Release("a", 1)
		c.Next("begun ") // so what it had before is acknowledged
		s.requireQueued(5)
		c.Kill("server")
		c.Start("server", "server", dir, port, string(s.keys))
		assert.Equal(t, s.url, c.Next("tls://").Text)
		c.Release("a", 100)
		c.Release("b", 100)
	})
	s.requireQueued(0)
	for len(c.Events) > 0 {
		assert.NotEqual(t, "begun "+done, (<-c.Events).Text)
	}
}

func TestAWorkerTellsTheServerThatItIsAlive(t *testing.T) {
	t.Parallel()
	s := serve(t)
	c := childtest.New(t)
	s.startWorkers(c, 1)
	heard, err := s.observe().SubscribeSync("$JS.ACK.JOBS.>")
	require.NoError(t, err)

	c.Perform(s.newQueue().Do, 1, func() {
		c.AllBusy(1)
		m, err := heard.NextMsg(childtest.Watchdog)
		if assert.NoError(t, err) {
			assert.Equal(t, "+WPI", string(m.Data), "work in progress")
		}
		c.Release("a", 1)
	})
}

// hire starts a worker in this process, and returns what stops it.
func (s site) hire(do func(ctx context.Context, job []byte) ([]byte, error)) (stop func()) {
	s.Helper()
	nc := s.connect(natswork.Worker)
	ctx, cancel := context.WithCancel(s.Context())
	ended := make(chan error, 1)
	go func() { ended <- natswork.Work(ctx, nc, do) }()
	stop = sync.OnceFunc(func() {
		cancel()
		assert.ErrorIs(s, <-ended, context.Canceled)
	})
	s.Cleanup(stop)
	return stop
}

func TestHowAJobFails(t *testing.T) {
	t.Parallel()
	s := serve(t)
	queue := s.newQueue()
	s.hire(func(_ context.Context, job []byte) ([]byte, error) {
		switch string(job) {
		case "error":
			return nil, errors.New("no such page\nat all")
		case "panic":
			panic("out of range")
		case "exit":
			runtime.Goexit()
		case "large":
			return make([]byte, natswork.MaxSize+1), nil
		case "largest":
			return make([]byte, natswork.MaxSize), nil
		}
		return []byte("fine"), nil
	})
	for job, want := range map[string]string{
		"error":                                  "no such page\nat all",
		"panic":                                  "out of range",
		"exit":                                   "runtime.Goexit",
		"large":                                  "the result has more than 1048576 bytes",
		string(make([]byte, natswork.MaxSize+1)): "the job has more than 1048576 bytes",
	} {
		_, err := queue.Do(t.Context(), []byte(job))
		require.ErrorContains(t, err, want)
	}
	for job, want := range map[string]int{
		"good":                                 len("fine"),
		"largest":                              natswork.MaxSize,
		string(make([]byte, natswork.MaxSize)): len("fine"),
	} {
		result, err := queue.Do(t.Context(), []byte(job))
		require.NoError(t, err)
		assert.Len(t, result, want)
	}
	s.requireQueued(0)
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
	s := serve(t)
	cable := new(cable)
	queue := s.newQueue(nats.SetCustomDialer(cable))

	cable.deaf.Lock()
	ctx, cancel := context.WithTimeout(t.Context(), childtest.Watchdog)
	failed := fails(ctx, queue, "ghost")
	s.requireQueued(1)
	cancel() // the server has the job, but the caller does not know
	require.EqualError(t, <-failed, "queue the job: context canceled")
	cable.deaf.Unlock()

	s.hire(func(context.Context, []byte) ([]byte, error) {
		assert.Fail(t, "the job has begun")
		return nil, nil
	})
	s.requireQueued(0)
}

// hireIdler starts a worker in this process that begins jobs but ends none.
func (s site) hireIdler() (begun <-chan struct{}, stop func()) {
	s.Helper()
	begins := make(chan struct{}, 100)
	return begins, s.hire(func(ctx context.Context, _ []byte) ([]byte, error) {
		begins <- struct{}{}
		<-ctx.Done()
		return nil, context.Cause(ctx)
	})
}

func TestAWorkerThatIsStoppedGivesItsJobBackAtOnce(t *testing.T) {
	t.Parallel()
	s := serve(t)
	var stopped time.Time
	childtest.New(t).Perform(s.newQueue().Do, 1, func() {
		begun, stop := s.hireIdler()
		select {
		case <-begun:
		case <-time.After(childtest.Watchdog):
		}
		stop()
		stopped = time.Now()
		s.hire(func(_ context.Context, job []byte) ([]byte, error) { return job, nil })
	})
	assert.Less(t, time.Since(stopped), 2*time.Second, "and not when it counts as dead")
}

func TestAJobThatNoWorkerEndsIsGivenUp(t *testing.T) {
	t.Parallel()
	s := serve(t)
	ctx, cancel := context.WithTimeout(t.Context(), childtest.Watchdog)
	defer cancel()
	failed := fails(ctx, s.newQueue(), "poison")
	for hired := 1; ; hired++ {
		begun, stop := s.hireIdler()
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
	c.conn.Close()
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
