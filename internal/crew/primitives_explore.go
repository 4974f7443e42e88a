//go:build explore

package crew

import (
	"context"

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
