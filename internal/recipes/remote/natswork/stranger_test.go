package natswork_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ascompleted/await/internal/recipes/remote/child/childtest"
	"github.com/ascompleted/await/internal/recipes/remote/embedded"
	"github.com/ascompleted/await/internal/recipes/remote/keys"
	"github.com/ascompleted/await/internal/recipes/remote/keys/keystest"
	"github.com/ascompleted/await/internal/recipes/remote/natswork"
)

// requireWork has a job done, to show that the work of others goes on.
func (s site) requireWork() {
	s.Helper()
	ctx, cancel := context.WithTimeout(s.Context(), childtest.Watchdog)
	defer cancel()
	result, err := s.newQueue().Do(ctx, []byte("ours"))
	require.NoError(s, err)
	require.Equal(s, "ours", string(result))
}

// hireEcho starts a worker in this process whose results are the jobs, and
// which must get none but ours.
func (s site) hireEcho() {
	s.Helper()
	s.hire(func(_ context.Context, job []byte) ([]byte, error) {
		assert.Equal(s, "ours", string(job))
		return job, nil
	})
}

// mixed is the certificate of ours and the NKeys of theirs.
func mixed(t *testing.T, ours, theirs keys.Dir) keys.Dir {
	t.Helper()
	dir := keys.Dir(t.TempDir())
	for name, from := range map[string]keys.Dir{
		keys.Certificate: ours,
		keys.CallerNKey:  theirs,
		keys.WorkerNKey:  theirs,
	} {
		data, err := os.ReadFile(from.Path(name))
		require.NoError(t, err)
		require.NoError(t, dir.Write(name, data))
	}
	return dir
}

func TestStrangersDoNotGetIn(t *testing.T) {
	t.Parallel()
	s := serve(t)
	s.hireEcho()
	config, err := s.keys.Client()
	require.NoError(t, err)
	theirs := keystest.New(t)
	for name, c := range map[string]struct {
		connect func() (*nats.Conn, error)
		want    string
	}{
		"no key": {func() (*nats.Conn, error) {
			return nats.Connect(s.url, nats.Secure(config))
		}, "nats: Authorization Violation"},
		"a password": {func() (*nats.Conn, error) {
			return nats.Connect(s.url, nats.Secure(config), nats.UserInfo("caller", "guess"))
		}, "nats: Authorization Violation"},
		"a stranger's key": {func() (*nats.Conn, error) {
			return natswork.Connect(s.url, natswork.Caller, mixed(t, s.keys, theirs))
		}, "nats: Authorization Violation"},
		"no TLS": {func() (*nats.Conn, error) {
			return nats.Connect(strings.Replace(s.url, "tls:", "nats:", 1))
		}, "x509: certificate signed by unknown authority"}, // the server asks for TLS
		"a server that is a stranger": {func() (*nats.Conn, error) {
			return natswork.Connect(s.url, natswork.Caller, theirs)
		}, "x509: certificate signed by unknown authority"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := c.connect()
			require.ErrorContains(t, err, c.want)
			s.requireWork()
		})
	}
}

func TestNobodyTalksToAServerWithoutTLS(t *testing.T) {
	t.Parallel()
	dir := keystest.New(t)
	config, err := natswork.Config(dir)
	require.NoError(t, err)
	config = regexp.MustCompile(`(?s)tls \{.*?\n\}`).ReplaceAllString(config, "")
	server, err := embedded.Serve(config, t.TempDir(), embedded.AnyPort)
	require.NoError(t, err)
	t.Cleanup(func() { server.Shutdown(); server.WaitForShutdown() })
	for _, role := range []natswork.Role{natswork.Caller, natswork.Worker} {
		_, err := natswork.Connect(server.ClientURL(), role, dir)
		require.ErrorIs(t, err, nats.ErrSecureConnWanted)
	}
}

func TestNeitherSideWorksWithoutKeys(t *testing.T) {
	t.Parallel()
	dir := keys.Dir(t.TempDir())
	_, err := natswork.Connect("nats://127.0.0.1:1", natswork.Caller, dir)
	require.ErrorIs(t, err, fs.ErrNotExist)
	_, err = natswork.Config(dir)
	require.ErrorIs(t, err, fs.ErrNotExist)
}

// What nobody needs for the work, a key does not allow.
func TestAKeyIsForItsRoleOnly(t *testing.T) {
	t.Parallel()
	s := serve(t)
	s.hireEcho()
	for role, subjects := range map[natswork.Role]struct{ publish, subscribe []string }{
		natswork.Caller: {
			[]string{
				"results.somebody.else", "_INBOX.caller.x", "$JS.ACK.JOBS.workers.1.1.1.1.1", "$JS.API.STREAM.DELETE.JOBS",
				"$JS.API.STREAM.UPDATE.JOBS", "$JS.API.STREAM.PURGE.JOBS", "$JS.API.STREAM.MSG.GET.JOBS",
				"$JS.API.STREAM.CREATE.OTHER", "$JS.API.CONSUMER.CREATE.JOBS.other", "$JS.API.CONSUMER.MSG.NEXT.JOBS.workers", "elsewhere",
			},
			[]string{"jobs", ">", "_INBOX.worker.>", "$JS.>"},
		},
		natswork.Worker: {
			[]string{
				"jobs", "_INBOX.caller.x", "_INBOX.worker.x", "$JS.API.STREAM.DELETE.JOBS", "$JS.API.STREAM.CREATE.JOBS",
				"$JS.API.CONSUMER.CREATE.JOBS.workers", "$JS.API.CONSUMER.DELETE.JOBS.workers", "$JS.API.STREAM.MSG.GET.JOBS", "elsewhere",
			},
			[]string{"jobs", ">", "results.>", "_INBOX.caller.>", "$JS.>"},
		},
	} {
		refused := make(chan error, 1)
		nc := s.connect(role, nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { refused <- err }))
		requireRefused := func(what, subject string) {
			t.Helper()
			select {
			case err := <-refused:
				require.ErrorIs(t, err, nats.ErrPermissionViolation)
				require.Contains(t, strings.ToLower(err.Error()), strings.ToLower(what+` to "`+subject+`"`))
			case <-time.After(childtest.Watchdog):
				require.Fail(t, "not refused", "%s: %s to %s", role, what, subject)
			}
		}
		for _, subject := range subjects.publish {
			require.NoError(t, nc.Publish(subject, nil))
			requireRefused("publish", subject)
		}
		for _, subject := range subjects.subscribe {
			_, err := nc.SubscribeSync(subject)
			require.NoError(t, err)
			requireRefused("subscription", subject)
		}
		s.requireWork()
	}
}

func TestAJobThatIsTooLargeIsRefusedOnItsWay(t *testing.T) {
	t.Parallel()
	s := serve(t)
	s.hireEcho()
	js, err := jetstream.New(s.connect(natswork.Caller))
	require.NoError(t, err)
	s.newQueue()

	// By the worker, if the caller does not look and the server lets it pass.
	answers, err := s.connect(natswork.Caller).SubscribeSync("results.>")
	require.NoError(t, err)
	m := nats.NewMsg("jobs")
	m.Header.Set(jetstream.MsgIDHeader, "results."+strings.Repeat("A", 26)+"."+strings.Repeat("A", 26))
	m.Data = make([]byte, natswork.MaxSize+1)
	_, err = js.PublishMsg(t.Context(), m)
	require.NoError(t, err)
	for _, want := range []string{"", "the job has more than 1048576 bytes"} {
		answer, err := answers.NextMsg(childtest.Watchdog)
		require.NoError(t, err)
		require.Equal(t, want, string(answer.Data))
		require.NoError(t, answer.Respond([]byte("true")))
	}

	// By the library, which knows what the server lets pass.
	m.Data = make([]byte, natswork.MaxSize+16<<10)
	_, err = js.PublishMsg(t.Context(), m)
	require.ErrorIs(t, err, nats.ErrMaxPayload)

	// By the server, which hangs up on whoever does not ask a library.
	conn := s.dial()
	_, err = io.WriteString(conn, `CONNECT {"user":"observer","pass":"secret","verbose":false}`+"\r\nPUB jobs 2000000\r\n")
	require.NoError(t, err)
	text, err := io.ReadAll(conn)
	require.NotErrorIs(t, err, os.ErrDeadlineExceeded)
	require.Contains(t, string(text), "-ERR 'Maximum Payload Violation'")

	s.requireWork()
	s.requireQueued(0)
}

// dial returns an encrypted connection that has not said who it is.
func (s site) dial() net.Conn {
	s.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "tls://"))
	require.NoError(s, err)
	s.Cleanup(func() { _ = conn.Close() })
	require.NoError(s, conn.SetDeadline(time.Now().Add(childtest.Watchdog)))
	for b := []byte{0}; b[0] != '\n'; { // the server's greeting is not encrypted
		_, err := conn.Read(b)
		require.NoError(s, err)
	}
	config, err := s.keys.Client()
	require.NoError(s, err)
	config.ServerName = "localhost"
	return tls.Client(conn, config)
}

func TestTheServerHangsUpOnWhoeverStaysSilent(t *testing.T) {
	t.Parallel()
	s := serve(t)
	s.hireEcho()
	plain, err := net.Dial("tcp", strings.TrimPrefix(s.url, "tls://"))
	require.NoError(t, err)
	t.Cleanup(func() { _ = plain.Close() })
	require.NoError(t, plain.SetDeadline(time.Now().Add(childtest.Watchdog)))
	for _, conn := range []net.Conn{plain, s.dial()} {
		s.requireWork() // while the connection is there
		_, err := io.Copy(io.Discard, conn)
		require.NotErrorIs(t, err, os.ErrDeadlineExceeded)
	}
	s.requireWork()
}

func TestAJobWithoutAnAddressIsDropped(t *testing.T) {
	t.Parallel()
	s := serve(t)
	s.newQueue()
	js, err := jetstream.New(s.connect(natswork.Caller))
	require.NoError(t, err)
	for _, id := range []string{
		"", "x", "jobs", "$JS.API.STREAM.DELETE.JOBS", "results.>", "results.a.b",
		"results." + strings.Repeat("A", 26) + "." + strings.Repeat("B", 26) + " _INBOX.worker.x",
	} {
		m := nats.NewMsg("jobs")
		if id != "" {
			m.Header.Set(jetstream.MsgIDHeader, id)
		}
		_, err := js.PublishMsg(t.Context(), m)
		require.NoError(t, err)
	}
	s.requireQueued(7)
	s.hireEcho()
	s.requireWork()
	s.requireQueued(0)
}

// A rogue is a worker with the right key that answers as it likes.
type rogue struct {
	site
	nc *nats.Conn
}

func (s site) hireRogue() rogue {
	s.Helper()
	return rogue{s, s.connect(natswork.Worker)}
}

// take takes a job out of the queue.
func (r rogue) take() jetstream.Msg {
	r.Helper()
	js, err := jetstream.New(r.nc)
	require.NoError(r, err)
	consumer, err := js.Consumer(r.Context(), "JOBS", "workers")
	require.NoError(r, err)
	m, err := consumer.Next(jetstream.FetchMaxWait(childtest.Watchdog))
	require.NoError(r, err)
	return m
}

// tell sends the caller something, and returns its answer.
func (r rogue) tell(id, kind string, data []byte) string {
	r.Helper()
	m := &nats.Msg{Subject: id, Header: nats.Header{"Kind": {kind}}, Data: data}
	answer, err := r.nc.RequestMsg(m, childtest.Watchdog)
	require.NoError(r, err)
	return string(answer.Data)
}

func TestGarbageIsTheErrorOfItsJobAlone(t *testing.T) {
	t.Parallel()
	s := serve(t)
	queue := s.newQueue()
	worker := s.hireRogue()
	for kind, c := range map[string]struct {
		data []byte
		want string
	}{
		"":      {[]byte("<html>\n"), `a worker has answered garbage: "": "<html>\n"`},
		"noise": {make([]byte, 1000), `a worker has answered garbage: "noise": "\x00\x00`},
		"value": {make([]byte, natswork.MaxSize+1), "the result has more than 1048576 bytes"},
	} {
		garbled, fine := fails(t.Context(), queue, "garbled"), fails(t.Context(), queue, "fine")
		for range 2 {
			m := worker.take()
			id := m.Headers().Get(jetstream.MsgIDHeader)
			if string(m.Data()) == "fine" {
				require.Equal(t, "true", worker.tell(id, "value", nil))
			} else {
				require.Equal(t, "true", worker.tell(id, kind, c.data))
			}
			require.NoError(t, m.DoubleAck(t.Context()))
		}
		err := <-garbled
		require.ErrorContains(t, err, c.want)
		require.NotContains(t, err.Error(), "\n")
		require.Less(t, len(err.Error()), 1000)
		require.NoError(t, <-fine)
	}
}

func TestAnAnswerForSomebodyElsesJobIsRefused(t *testing.T) {
	t.Parallel()
	s := serve(t)
	queue := s.newQueue()
	worker := s.hireRogue()
	done := fails(t.Context(), queue, "ours")
	m := worker.take()
	id := m.Headers().Get(jetstream.MsgIDHeader)
	other := regexp.MustCompile(`\w+$`).ReplaceAllString(id, strings.Repeat("A", 26))
	require.Equal(t, "false", worker.tell(other, "value", []byte("forged")), "no such job")

	abandoned, cancel := context.WithCancelCause(t.Context())
	gone := fails(abandoned, queue, "abandoned")
	late := worker.take().Headers().Get(jetstream.MsgIDHeader)
	cancel(errors.New("enough"))
	require.Error(t, <-gone)
	require.Equal(t, "false", worker.tell(late, "value", []byte("late")), "not wanted any more")

	require.Equal(t, "true", worker.tell(id, "value", []byte("fine")))
	require.NoError(t, <-done)
	require.Equal(t, "false", worker.tell(id, "value", []byte("twice")), "taken already")
}
