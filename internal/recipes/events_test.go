package recipes_test

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/ascompleted/await"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// events is a handler that sends each result to the browser as soon as it is
// there, as a server-sent event: the fast services do not wait for the slow ones.
//
// When the browser goes away, the context of the request ends, and with it all
// tasks. Watch out to flush after each event, or the server and proxies between
// keep it until the end.
func events(services []string, ask func(ctx context.Context, service string) (string, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		w.Header().Set("Cache-Control", "no-store")
		browser := http.NewResponseController(w)
		for i, result := range await.AsCompleted(r.Context(), await.Tasks(services, ask)) {
			event := "result"
			if result.Err != nil {
				event, result.Value = "failure", "unavailable"
			}
			_, _ = fmt.Fprintf(w, "event: %s\ndata: %s: %s\n\n", event, services[i], result.Value)
			if browser.Flush() != nil {
				return // nobody listens: cancel the rest
			}
		}
	}
}

func TestEventsDoNotWaitForSlowServices(t *testing.T) {
	seen := make(chan struct{})
	ask := func(ctx context.Context, service string) (string, error) {
		if service == "slow" {
			select {
			case <-seen: // the event of the fast one has arrived
			case <-ctx.Done():
				return "", context.Cause(ctx)
			}
		}
		return "fine", nil
	}
	server := httptest.NewServer(events([]string{"slow", "fast"}, ask))
	defer server.Close()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, http.NoBody)
	require.NoError(t, err)
	response, err := server.Client().Do(request)
	require.NoError(t, err)
	defer func() { _ = response.Body.Close() }()

	stream := bufio.NewScanner(response.Body)
	event := func() (text string) {
		for stream.Scan() && stream.Text() != "" {
			text += stream.Text() + "\n"
		}
		return text
	}
	assert.Equal(t, "event: result\ndata: fast: fine\n", event())
	close(seen)
	assert.Equal(t, "event: result\ndata: slow: fine\n", event())
}
