package await_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ascompleted/await"
	"github.com/stretchr/testify/require"
)

// errBoom is how a task fails in these tests.
var errBoom = errors.New("boom")

// after is a task that returns v after d, or the cause when its context ends.
func after[T any](d time.Duration, v T) await.Task[T] {
	return func(ctx context.Context) (T, error) {
		select {
		case <-time.After(d):
			return v, nil
		case <-ctx.Done():
			var zero T
			return zero, context.Cause(ctx)
		}
	}
}

// failing is a task that fails with err after d, whatever its context does.
func failing[T any](d time.Duration, err error) await.Task[T] {
	return func(context.Context) (T, error) {
		time.Sleep(d)
		var zero T
		return zero, err
	}
}

// deaf is a task that returns v after d, whatever its context does.
func deaf[T any](d time.Duration, v T) await.Task[T] {
	return func(context.Context) (T, error) {
		time.Sleep(d)
		return v, nil
	}
}

// panicking is a task that panics with v after d, whatever its context does.
func panicking[T any](d time.Duration, v any) await.Task[T] {
	return func(context.Context) (T, error) {
		time.Sleep(d)
		panic(v)
	}
}

// exiting is a task that calls runtime.Goexit after d.
func exiting[T any](d time.Duration) await.Task[T] {
	return func(context.Context) (T, error) {
		time.Sleep(d)
		runtime.Goexit()
		panic("not reached")
	}
}

// endingSoon is a child of parent that another goroutine ends after up to so many
// turns of a loop, without waiting for anything: so it ends at whatever moment
// of what its caller does next.
func endingSoon(parent context.Context, turns int) context.Context {
	ctx, cancel := context.WithCancel(parent)
	go func() {
		var n atomic.Int64
		for range rand.IntN(turns) {
			n.Load()
		}
		cancel()
	}()
	return ctx
}

// panicOf returns what f panics with; the test fails if it does not.
func panicOf(t *testing.T, f func()) (value any) {
	t.Helper()
	panicked := true
	func() {
		defer func() { value = recover() }()
		f()
		panicked = false
	}()
	require.True(t, panicked, "should have panicked")
	return value
}

// requireNoWorkers fails if a goroutine of the engine is left. A worker that has
// told the loop of its end may still need a moment to be gone, so it looks
// again for a while.
func requireNoWorkers(t *testing.T) {
	t.Helper()
	require.Eventually(t, func() bool { return workers() == 0 }, 5*time.Second, time.Millisecond)
}

// workers counts the goroutines that the engine has started.
func workers() int {
	buf := make([]byte, 1<<20)
	for {
		n := runtime.Stack(buf, true)
		if n < len(buf) {
			return strings.Count(string(buf[:n]), "created by github.com/ascompleted/await/internal/crew.")
		}
		buf = make([]byte, 2*len(buf))
	}
}

// TestMain fails if the tests have left a goroutine of the engine behind.
func TestMain(m *testing.M) {
	code := m.Run()
	for deadline := time.Now().Add(5 * time.Second); workers() > 0; runtime.Gosched() {
		if time.Now().After(deadline) {
			println("goroutines of the engine are left behind")
			os.Exit(1)
		}
	}
	os.Exit(code)
}
