package httpwork_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ascompleted/await"
	"github.com/ascompleted/await/internal/recipes/remote/child/childtest"
	"github.com/ascompleted/await/internal/recipes/remote/httpwork"
	"github.com/ascompleted/await/internal/recipes/remote/keys"
	"github.com/ascompleted/await/internal/recipes/remote/keys/keystest"
)

// stranger returns a client that reaches the workers with these keys, but
// sends what the test wants.
func stranger(t *testing.T, dir keys.Dir) *http.Client {
	t.Helper()
	config, err := dir.Client()
	require.NoError(t, err)
	transport := &http.Transport{TLSClientConfig: config, ForceAttemptHTTP2: true}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

func bearer(t *testing.T, dir keys.Dir) string {
	t.Helper()
	token, err := dir.Token()
	require.NoError(t, err)
	return "Bearer " + token
}

// endless is a body that goes on as long as somebody reads it.
type endless struct{}

func (endless) Read(b []byte) (int, error) { return len(b), nil }

// silence is a body that never comes.
func silence(t *testing.T) io.Reader {
	t.Helper()
	r, w := io.Pipe()
	t.Cleanup(func() { w.Close() })
	return r
}

func TestAWorkerRefusesWhatItCannotTrust(t *testing.T) {
	t.Parallel()
	dir := keystest.New(t)
	right := bearer(t, dir)
	url := hire(t, dir, func(_ context.Context, job []byte) ([]byte, error) {
		assert.Equal(t, "ours", string(job))
		return []byte("done"), nil
	})
	pool := newPool(t, dir, url)
	type request struct {
		name, token string
		body        io.Reader
		status      int
		text        string
	}
	requests := []request{
		{"no token", "", strings.NewReader("x"), 401, "the request has no token"},
		{"wrong token", bearer(t, keystest.New(t)), strings.NewReader("x"), 401, "the token is wrong"},
		{"half a token", right[:len(right)-1], strings.NewReader("x"), 401, "the token is wrong"},
		{"other scheme", "Basic" + right[6:], strings.NewReader("x"), 401, "the token is wrong"},
		{"slow stranger", "", silence(t), 401, "the request has no token"},
		{"large stranger", "", endless{}, 401, "the request has no token"},
		{"large, and says so", right, bytes.NewReader(make([]byte, httpwork.MaxSize+1)), 413, "the job has more than 1048576 bytes"},
		{"large", right, endless{}, 413, "the job has more than 1048576 bytes"},
		{"slow", right, silence(t), 408, "the job was not here after 5s"},
	}
	client := stranger(t, dir)
	send := func(ctx context.Context, r request) (string, error) {
		post, err := http.NewRequestWithContext(ctx, http.MethodPost, url, r.body)
		if err != nil {
			return "", err
		}
		if r.token != "" {
			post.Header.Set("Authorization", r.token)
		}
		answer, err := client.Do(post)
		if err != nil {
			return "", err
		}
		defer answer.Body.Close()
		text, err := io.ReadAll(answer.Body)
		assert.Equal(t, r.status, answer.StatusCode, r.name)
		return string(text), err
	}
	for i, r := range await.AsCompleted(t.Context(), await.Tasks(requests, send)) {
		require.NoError(t, r.Err, requests[i].name)
		assert.Equal(t, requests[i].text, r.Value, requests[i].name)

		result, err := pool.Do(t.Context(), []byte("ours")) // while others still try
		require.NoError(t, err)
		assert.Equal(t, "done", string(result))
	}
}

func TestAWorkerHangsUpOnWhoeverStaysSilent(t *testing.T) {
	t.Parallel()
	dir := keystest.New(t)
	url := hire(t, dir, upper)
	config, err := dir.Client()
	require.NoError(t, err)
	config.NextProtos = []string{"h2"}
	connect := func(t *testing.T) net.Conn {
		t.Helper()
		conn, err := net.Dial("tcp", strings.TrimPrefix(url, "https://"))
		require.NoError(t, err)
		t.Cleanup(func() { _ = conn.Close() })
		require.NoError(t, conn.SetDeadline(time.Now().Add(childtest.Watchdog)))
		return conn
	}
	config.ServerName = "localhost"
	for name, dial := range map[string]func(t *testing.T) net.Conn{
		"before the handshake": connect,
		"after the handshake": func(t *testing.T) net.Conn {
			t.Helper()
			return tls.Client(connect(t), config)
		},
		"in the middle of a request": func(t *testing.T) net.Conn {
			t.Helper()
			conn := tls.Client(connect(t), config)
			_, err := io.WriteString(conn, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"+
				"\x00\x00\x00\x04\x00\x00\x00\x00\x00"+ // no settings
				"\x00\x01\x00\x01\x04\x00\x00\x00\x01") // headers of 256 bytes, which never come
			require.NoError(t, err)
			return conn
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := io.Copy(io.Discard, dial(t))
			require.NotErrorIs(t, err, os.ErrDeadlineExceeded)
			result, err := newPool(t, dir, url).Do(t.Context(), []byte("ours"))
			require.NoError(t, err)
			assert.Equal(t, "OURS", string(result))
		})
	}
}

// impostor is a server with the right certificate that answers as it likes.
func impostor(t *testing.T, dir keys.Dir, handler http.HandlerFunc) (url string) {
	t.Helper()
	config, err := dir.Server()
	require.NoError(t, err)
	server := httptest.NewUnstartedServer(handler)
	server.TLS = config
	server.EnableHTTP2 = true
	server.StartTLS()
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	return server.URL
}

// raw is a server that greets with this text, by TLS or without.
func raw(t *testing.T, config *tls.Config, text string) (url string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			if config != nil {
				conn = tls.Server(conn, config)
			}
			go func() {
				io.WriteString(conn, text)
				io.Copy(io.Discard, conn) //nolint:errcheck // it only waits for the end
				_ = conn.Close()
			}()
		}
	}()
	return "https://" + listener.Addr().String()
}

func TestACallerRefusesWhatIsNoWorker(t *testing.T) {
	t.Parallel()
	dir, theirs := keystest.New(t), keystest.New(t)
	good := hire(t, dir, upper)
	answer := func(f http.HandlerFunc) string { return impostor(t, dir, f) }
	serverTLS, err := dir.Server()
	require.NoError(t, err)
	serverTLS.NextProtos = []string{"h2"}
	otherTLS, err := dir.Server()
	require.NoError(t, err)
	closed := raw(t, nil, "")

	for name, c := range map[string]struct{ url, want string }{
		"a page": {answer(func(w http.ResponseWriter, _ *http.Request) {
			io.WriteString(w, "<html>Welcome!</html>")
		}), `the answer is not for this job: status "200 OK", job id ""`},
		"an answer for somebody else's job": {answer(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Job-Id", "somebody else's")
			io.WriteString(w, "RESULT")
		}), `the answer is not for this job: status "200 OK", job id "somebody else's"`},
		"a redirection": {answer(func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, good, http.StatusTemporaryRedirect)
		}), `the answer is not for this job: status "307 Temporary Redirect"`},
		"a status that no worker has": {answer(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Job-Id", r.Header.Get("Job-Id"))
			w.WriteHeader(http.StatusTeapot)
			io.WriteString(w, "short and stout")
		}), `the worker refuses: "short and stout"`},
		"an answer that breaks off": {answer(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Job-Id", r.Header.Get("Job-Id"))
			io.WriteString(w, "RES")
			http.NewResponseController(w).Flush() //nolint:errcheck // the client will notice
			panic(http.ErrAbortHandler)
		}), "stream error"},
		"an answer that does not go on": {answer(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Job-Id", r.Header.Get("Job-Id"))
			http.NewResponseController(w).Flush() //nolint:errcheck // the client will notice
			<-r.Context().Done()
		}), "the answer was not here after 5s"},
		"frames that are none":       {raw(t, serverTLS, strings.Repeat("garbage ", 100)), "http2: "}, // which error of it depends on who reads first
		"another protocol":           {raw(t, otherTLS, "220 mail.example ESMTP\r\n"), "the server does not speak HTTP/2"},
		"no TLS":                     {raw(t, nil, "SSH-2.0-OpenSSH_10.0\r\n"), "tls: first record does not look like a TLS handshake"},
		"a stranger's worker":        {hire(t, theirs, upper), "x509: certificate signed by unknown authority"},
		"a worker with other tokens": {hire(t, mixed(t, dir, theirs), upper), `the worker refuses: "the token is wrong"`},
		"nothing at all":             {closed, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			alone, beside := newPool(t, dir, c.url), newPool(t, dir, c.url, good)
			results := await.Settle(t.Context(), await.Tasks([]*httpwork.Pool{alone, beside},
				func(ctx context.Context, pool *httpwork.Pool) ([]byte, error) { return pool.Do(ctx, []byte("job")) }))
			err := results[0].Err
			require.ErrorIs(t, err, httpwork.ErrNoWorkers)
			require.ErrorContains(t, err, c.url)
			require.ErrorContains(t, err, c.want)
			assert.NotContains(t, err.Error(), "\n")

			require.NoError(t, results[1].Err, "the worker beside it does the job")
			assert.Equal(t, "JOB", string(results[1].Value))
		})
	}
}

// mixed is the keys of a worker with our certificate and their token.
func mixed(t *testing.T, ours, theirs keys.Dir) keys.Dir {
	t.Helper()
	dir := keys.Dir(t.TempDir())
	for name, from := range map[string]keys.Dir{
		keys.Certificate: ours,
		keys.PrivateKey:  ours,
		keys.Token:       theirs,
	} {
		data, err := os.ReadFile(from.Path(name))
		require.NoError(t, err)
		require.NoError(t, dir.Write(name, data))
	}
	return dir
}

func TestAnEndlessResultIsTheJobsError(t *testing.T) {
	t.Parallel()
	dir := keystest.New(t)
	pool := newPool(t, dir, impostor(t, dir, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Job-Id", r.Header.Get("Job-Id"))
		io.Copy(w, endless{}) //nolint:errcheck // it ends when the caller has enough
	}))
	for range 2 { // the worker keeps its place
		_, err := pool.Do(t.Context(), nil)
		require.EqualError(t, err, "the result has more than 1048576 bytes")
	}
}

func TestATokenDoesNotGoWithoutTLS(t *testing.T) {
	t.Parallel()
	_, err := httpwork.NewPool(keystest.New(t), "http://127.0.0.1:1")
	assert.EqualError(t, err, "http://127.0.0.1:1 is not https, and would show the token to everybody")
}

func TestNeitherSideWorksWithoutKeys(t *testing.T) {
	t.Parallel()
	dir := keystest.New(t)
	require.NoError(t, os.Truncate(dir.Path(keys.Token), 0))
	_, err := httpwork.NewPool(dir, "https://127.0.0.1:1")
	require.ErrorContains(t, err, "too short")
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.ErrorContains(t, httpwork.Serve(t.Context(), listener, dir, upper), "too short")
	_, err = listener.Accept()
	assert.ErrorIs(t, err, net.ErrClosed)
}

// The worker's end of the cable is never told that it was cut.
func TestAWorkerThatIsCutOffCountsAsDead(t *testing.T) {
	t.Parallel()
	dir := keystest.New(t)
	begun, ended := make(chan struct{}, 1), make(chan error, 1)
	far := hire(t, dir, func(ctx context.Context, _ []byte) ([]byte, error) {
		begun <- struct{}{}
		<-ctx.Done()
		ended <- context.Cause(ctx)
		return nil, context.Cause(ctx)
	})
	url, cut := cable(t, far)
	pool := newPool(t, dir, url)
	failed := make(chan error, 1)
	go func() {
		_, err := pool.Do(t.Context(), nil)
		failed <- err
	}()
	<-begun
	cut()
	select {
	case err := <-failed:
		require.ErrorIs(t, err, httpwork.ErrNoWorkers)
	case <-time.After(childtest.Watchdog):
		require.Fail(t, "the caller still waits")
	}
	select {
	case err := <-ended:
		require.ErrorIs(t, err, context.Canceled)
	case <-time.After(childtest.Watchdog):
		require.Fail(t, "the worker still works")
	}
}

// cable returns a URL that leads to another one, until it is cut: then both
// ends hear nothing more, and are not told.
func cable(t *testing.T, to string) (url string, cut func()) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	var whole sync.RWMutex
	go func() {
		for {
			near, err := listener.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", strings.TrimPrefix(to, "https://"))
			if !assert.NoError(t, err) {
				return
			}
			t.Cleanup(func() { _ = near.Close(); _ = far.Close() })
			go carry(far, near, &whole)
			go carry(near, far, &whole)
		}
	}()
	return "https://" + listener.Addr().String(), func() {
		whole.Lock()
		t.Cleanup(whole.Unlock)
	}
}

func carry(to, from net.Conn, whole *sync.RWMutex) {
	b := make([]byte, 1<<10)
	for {
		n, err := from.Read(b)
		if err != nil {
			return
		}
		whole.RLock()
		to.Write(b[:n]) //nolint:errcheck // the test has ended
		whole.RUnlock()
	}
}
