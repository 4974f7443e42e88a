package child_test

import (
	"io"
	"net"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ascompleted/await/internal/recipes/remote/child"
	"github.com/ascompleted/await/internal/recipes/remote/child/childtest"
)

// TestMain lets the test binary be the other processes too.
func TestMain(m *testing.M) {
	childtest.Main(m, map[string]func(args []string) error{"parent": parent, "child": follower})
}

// parent is a process that has a child.
func parent(args []string) error {
	_, err := child.Start(func(string) {}, append([]string{"child"}, args...)...)
	if err != nil {
		return err
	}
	select {}
}

// follower is a process that has a connection to the test while it lives.
func follower(args []string) error {
	child.Follow(func(string) {})
	conn, err := net.Dial("tcp", args[0])
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, conn)
	return err
}

func TestAChildEndsWhenItsParentIsKilled(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, listener.Close()) })
	c := childtest.New(t)
	c.Start("parent", "parent", listener.Addr().String())
	conn, err := listener.Accept()
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, conn.Close()) })

	c.Kill("parent")
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(childtest.Watchdog)))
	_, err = conn.Read(make([]byte, 1))
	require.NotErrorIs(t, err, os.ErrDeadlineExceeded)
	require.ErrorIs(t, err, io.EOF)
}

func TestKillingAChildTwiceChangesNothing(t *testing.T) {
	c := childtest.New(t)
	c.Start("parent", "parent", "nowhere")
	c.Kill("parent")
	c.Kill("parent")
}
