package natswork

import (
	_ "embed"
	"path/filepath"
	"strings"
	"text/template"

	"github.com/ascompleted/await/internal/recipes/remote/keys"
)

//go:embed server.conf
var serverConf string

// Config returns the configuration of a NATS server with these keys, which
// refuses strangers and lets callers and workers do only what they must.
func Config(dir keys.Dir) (string, error) {
	path, err := filepath.Abs(string(dir))
	if err != nil {
		return "", err
	}
	dir = keys.Dir(path)
	caller, err := publicKey(dir, Caller)
	if err != nil {
		return "", err
	}
	worker, err := publicKey(dir, Worker)
	if err != nil {
		return "", err
	}
	t, err := template.New("server.conf").Parse(serverConf)
	if err != nil {
		return "", err
	}
	var text strings.Builder
	err = t.Execute(&text, map[string]any{
		"Dir":         path,
		"Certificate": dir.Path(keys.Certificate),
		"PrivateKey":  dir.Path(keys.PrivateKey),
		"Caller":      caller,
		"Worker":      worker,
		"MaxPayload":  MaxSize + maxHeader,
	})
	return text.String(), err
}

func publicKey(dir keys.Dir, role Role) (string, error) {
	pair, err := dir.NKey(role.file())
	if err != nil {
		return "", err
	}
	defer pair.Wipe()
	return pair.PublicKey()
}
