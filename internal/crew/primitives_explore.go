//go:build explore

package crew

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/ascompleted/await/internal/proof/explorer"
)

// The names of primitives.go for the explorer.
type (
	mutex       = explorer.Mutex
	cond        = explorer.Cond
	atomicBool  = explorer.Bool
	atomicInt64 = explorer.Int64
	semaphore   = explorer.Semaphore
)

func withCancel(ctx context.Context) (context.Context, context.CancelCauseFunc) {
	return explorer.WithCancel(ctx)
}

func afterFunc(ctx context.Context, f func()) (stop func() bool) {
	return explorer.AfterFunc(ctx, f)
}

func newSemaphore(n int) *semaphore { return explorer.NewSemaphore(n) }

func spawn(f func()) { explorer.Spawn(f) }

func assertLocked(m *mutex) { explorer.AssertLocked(m) }

// now is an hour later each time, for the engine to do what it does if tasks
// take long.
func now() time.Duration { return time.Duration(clock.Add(int64(time.Hour))) }

var clock atomic.Int64

const handfuls = 1

const large = 1
