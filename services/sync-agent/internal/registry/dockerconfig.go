package registry

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// maxConfig bounds a docker config, in bytes.
const maxConfig = 1 << 20

var errNoEntry = errors.New("it has no entry for the registry")

// DockerConfig finds what opens a registry in the docker config of a pull Secret, old or new form. The longest entry
// that the repository lies in counts.
func DockerConfig(text []byte, host, repository string) (Access, error) {
	if len(text) > maxConfig {
		return Access{}, fmt.Errorf("docker config: it has more than %d bytes", maxConfig)
	}
	type entry struct {
		Username string `json:"username"`
		Password string `json:"password"`
		Auth     string `json:"auth"`
	}
	var config struct {
		Auths map[string]entry `json:"auths"`
	}
	err := json.Unmarshal(text, &config)
	if err == nil && config.Auths == nil {
		err = json.Unmarshal(text, &config.Auths) // .dockercfg
	}
	if err != nil {
		return Access{}, errors.New("docker config: it is no JSON of auths") // the text may hold a password
	}
	best, found := -1, entry{}
	for name, e := range config.Auths {
		name = normalHost(name)
		if want := normalHost(host) + "/" + repository; len(name) > best &&
			(want == name || strings.HasPrefix(want, name+"/")) {
			best, found = len(name), e
		}
	}
	if best < 0 {
		return Access{}, fmt.Errorf("docker config: %w %s", errNoEntry, host)
	}
	if found.Auth != "" {
		plain, err := base64.StdEncoding.DecodeString(found.Auth)
		user, password, ok := strings.Cut(string(plain), ":")
		if err != nil || !ok {
			return Access{}, fmt.Errorf("docker config: auth of %s is not user:password in base64", host)
		}
		return Access{Username: user, Password: strings.TrimRight(password, "\x00")}, nil
	}
	return Access{Username: found.Username, Password: found.Password}, nil
}

// normalHost is a name of a registry as docker configs write it, without scheme and version; Docker Hub has many.
func normalHost(name string) string {
	name = strings.TrimPrefix(strings.TrimPrefix(name, "https://"), "http://")
	name = strings.TrimSuffix(strings.TrimSuffix(strings.TrimSuffix(name, "/"), "/v1"), "/v2")
	switch name {
	case "index.docker.io", "registry-1.docker.io":
		return "docker.io"
	}
	return name
}
