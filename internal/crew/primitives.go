//go:build !explore

package crew

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	xsemaphore "golang.org/x/sync/semaphore"
)

// What the engine synchronizes with. These are aliases, so the default build
// is the same as with the names of sync written out. The build tag explore
// replaces them by those of an explorer, which runs the engine under every
// order of its steps: see internal/proof.
type (
	mutex       = sync.Mutex
	cond        = sync.Cond
	atomicBool  = atomic.Bool
	atomicInt64 = atomic.Int64
	semaphore   = xsemaphore.Weighted
)

func withCancel(ctx context.Context) (context.Context, context.CancelCauseFunc) {
	return context.WithCancelCause(ctx)
}

func afterFunc(ctx context.Context, f func()) (stop func() bool) {
	return context.AfterFunc(ctx, f)
}

func newSemaphore(n int) *semaphore { return xsemaphore.NewWeighted(int64(n)) }

func spawn(f func()) { go f() }

// assertLocked does nothing: only the explorer knows who holds a lock.
func assertLocked(*mutex) {}

// now reads a clock. It takes half as long as time.Now.
func now() time.Duration { return time.Since(epoch) }

var epoch = time.Now()

const handfuls = 8 // that a feeder hands over between two looks at the clock

// large is how many places an empty slice may keep: a larger one is given back
// after a burst. The blocks of a fifo have at most as many, and so has the first
// slice of a list's places.
const large = 1 << 10
