// Package tasktest has what the tests of the library share: tasks that end in
// every way a task can, and what to check afterwards.
package tasktest

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

	"github.com/stretchr/testify/require"
)

// A Task is an await.Task; the alias is repeated here so that the package
// depends on nothing that it helps to test.
type Task[T any] = func(ctx context.Context) (T, error)

// ErrBoom is how a task fails in tests.
var ErrBoom = errors.New("boom")

// After is a task that returns v after d, or the cause when its context ends.
func After[T any](d time.Duration, v T) Task[T] {
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

// Failing is a task that fails with err after d, and ignores its context.
func Failing[T any](d time.Duration, err error) Task[T] {
	return func(context.Context) (T, error) {
		time.Sleep(d)
		var zero T
		return zero, err
	}
}

// Deaf is a task that returns v after d, and ignores its context.
func Deaf[T any](d time.Duration, v T) Task[T] {
	return func(context.Context) (T, error) {
		time.Sleep(d)
		return v, nil
	}
}

// Panicking is a task that panics with v after d, and ignores its context.
func Panicking[T any](d time.Duration, v any) Task[T] {
	return func(context.Context) (T, error) {
		time.Sleep(d)
		panic(v)
	}
}

// Exiting is a task that calls runtime.Goexit after d.
func Exiting[T any](d time.Duration) Task[T] {
	return func(context.Context) (T, error) {
		time.Sleep(d)
		runtime.Goexit()
		panic("not reached")
	}
}

// Copies is a list of n times the same task.
func Copies[T any](n int, task Task[T]) []Task[T] {
	tasks := make([]Task[T], n)
	for i := range tasks {
		tasks[i] = task
	}
	return tasks
}

// EndingSoon is a child of parent that another goroutine cancels after a
// random number of turns of a loop, at most turns. It waits for nothing, so the
// context ends at any point of what its caller does next.
func EndingSoon(parent context.Context, turns int) context.Context {
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

// PanicOf returns what f panics with; the test fails if it does not.
func PanicOf(tb testing.TB, f func()) (value any) {
	tb.Helper()
	panicked := true
	func() {
		defer func() { value = recover() }()
		f()
		panicked = false
	}()
	require.True(tb, panicked, "should have panicked")
	return value
}

// RequireNoWorkers fails if a goroutine of the engine is left. A worker that
// has reported its end to the loop may need a moment to exit, so it looks
// again for a while.
func RequireNoWorkers(tb testing.TB) {
	tb.Helper()
	require.Eventually(tb, func() bool { return Workers() == 0 }, 5*time.Second, time.Millisecond)
}

// Workers counts the goroutines that the engine has started.
func Workers() int {
	buf := make([]byte, 1<<20)
	for {
		n := runtime.Stack(buf, true)
		if n < len(buf) {
			return strings.Count(string(buf[:n]), "created by github.com/ascompleted/await/internal/crew.")
		}
		buf = make([]byte, 2*len(buf))
	}
}

// Main runs the tests of a package, and fails if they have left a goroutine
// of the engine behind.
func Main(m *testing.M) {
	code := m.Run()
	for deadline := time.Now().Add(5 * time.Second); Workers() > 0; runtime.Gosched() {
		if time.Now().After(deadline) {
			println("goroutines of the engine are left behind")
			os.Exit(1)
		}
	}
	os.Exit(code)
}
