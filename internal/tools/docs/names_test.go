package docs_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"slices"
	"testing"
)

// The examples are the Go code of Markdown files, where these names have no
// declaration.

type Page string

var (
	ctx     = context.Background()
	urls    = []string{"/a", "/b", "/gone"}
	mirrors = []string{"/gone", "/a"}
	inputs  = slices.Values(urls)
)

func fetch(_ context.Context, url string) (Page, error) {
	if url == "/gone" {
		return "", errors.New("404 Not Found")
	}
	return Page("page " + url), nil
}

func links(page Page) []string {
	if page == "page /" {
		return urls
	}
	return nil
}

func process(page Page) { fmt.Println(page) }
func enough() bool      { return false }

func findUser(context.Context) (string, error)     { return "Ada", nil }
func findOrders(context.Context) ([]string, error) { return []string{"tea", "milk"}, nil }

// The output of an example is what it writes to os.Stdout as it is then.
type stdout struct{}

func (stdout) Write(text []byte) (int, error) { return os.Stdout.Write(text) }

func TestMain(m *testing.M) {
	log.SetFlags(0)
	log.SetOutput(stdout{})
	os.Exit(m.Run())
}
