package keys_test

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"io/fs"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ascompleted/await/internal/recipes/remote/keys"
	"github.com/ascompleted/await/internal/recipes/remote/keys/keystest"
)

// handshake connects a client to a server, and returns the client's error.
func handshake(t *testing.T, server, client keys.Dir, host string) error {
	t.Helper()
	serve, err := server.Server()
	require.NoError(t, err)
	trust, err := client.Client()
	require.NoError(t, err)
	trust.ServerName = host

	listener, err := tls.Listen("tcp", "127.0.0.1:0", serve)
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		conn, err := listener.Accept()
		if err == nil {
			io.Copy(io.Discard, conn) //nolint:errcheck // the client's error is the one that counts
			_ = conn.Close()
		}
	}()
	conn, err := tls.Dial("tcp", listener.Addr().String(), trust)
	if err == nil {
		_ = conn.Close()
	}
	return err
}

func TestAClientTrustsItsServerOnly(t *testing.T) {
	t.Parallel()
	ours, theirs := keystest.New(t, "queue.example", "192.0.2.7"), keystest.New(t, "queue.example")
	for _, host := range []string{"queue.example", "192.0.2.7", "localhost", "127.0.0.1"} {
		require.NoError(t, handshake(t, ours, ours, host), host)
	}
	var stranger x509.UnknownAuthorityError
	require.ErrorAs(t, handshake(t, theirs, ours, "queue.example"), &stranger)
	var elsewhere x509.HostnameError
	require.ErrorAs(t, handshake(t, ours, ours, "other.example"), &elsewhere)
}

func TestKeysAreOfThisUserAndAreNotReplaced(t *testing.T) {
	t.Parallel()
	dir := keystest.New(t)
	files, err := os.ReadDir(string(dir))
	require.NoError(t, err)
	assert.Len(t, files, 5)
	for _, f := range files {
		info, err := f.Info()
		require.NoError(t, err)
		assert.Equal(t, fs.FileMode(0o600), info.Mode().Perm(), f.Name())
	}
	before, err := dir.Token()
	require.NoError(t, err)
	require.ErrorIs(t, dir.Make(), fs.ErrExist)
	after, err := dir.Token()
	require.NoError(t, err)
	assert.Equal(t, before, after)
}

func TestBrokenKeysAreErrorsThatNameTheFile(t *testing.T) {
	t.Parallel()
	dir := keys.Dir(t.TempDir())
	for name, read := range map[string]func() error{
		keys.Certificate: func() error { _, err := dir.Client(); return err },
		keys.Token:       func() error { _, err := dir.Token(); return err },
		keys.WorkerNKey:  func() error { _, err := dir.NKey(keys.WorkerNKey); return err },
	} {
		require.ErrorIs(t, read(), fs.ErrNotExist, name)
		require.NoError(t, dir.Write(name, []byte("\n")))
		require.ErrorContains(t, read(), dir.Path(name))
	}
	_, err := dir.Server()
	assert.Error(t, err)
}
