package recipes_test

import (
	"context"
	"net"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ascompleted/await"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// dialAny dials all addresses at once and returns the first connection. In a
// program dial is
//
//	func(ctx context.Context, address string) (net.Conn, error) {
//		return new(net.Dialer).DialContext(ctx, "tcp", address)
//	}
//
// The other attempts are canceled. One that succeeds all the same, in the same
// instant or because it ignores its context, would leave a connection that
// nobody closes: that is what OnDiscard is for. If all fail, the error has the
// errors of all.
//
// Watch out for values that are tied to the task's context, which has ended when
// First returns: the Body of an http.Response can no longer be read then. A
// net.Conn is not tied to it.
func dialAny(ctx context.Context, addresses []string, dial func(context.Context, string) (net.Conn, error)) (net.Conn, error) {
	_, conn, err := await.First(await.AsCompleted(ctx, await.Tasks(addresses, dial),
		await.OnDiscard(func(conn net.Conn) { _ = conn.Close() })))
	return conn, err
}

func TestLosersOfADialAreClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var open atomic.Int32
		dial := func(context.Context, string) (net.Conn, error) {
			time.Sleep(time.Second) // all succeed in the same instant
			open.Add(1)
			return closer{open: &open}, nil
		}
		conn, err := dialAny(t.Context(), []string{"10.0.0.1:80", "10.0.0.2:80", "[::1]:80"}, dial)
		require.NoError(t, err)
		assert.EqualValues(t, 1, open.Load())
		require.NoError(t, conn.Close())
		assert.Zero(t, open.Load())
	})
}

// A closer is a connection that counts.
type closer struct {
	net.Conn
	open *atomic.Int32
}

func (c closer) Close() error {
	c.open.Add(-1)
	return nil
}
