package core

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/argosy-mesh/argosy/schemas/events"
)

const pushNotification = `{"events":[
 {"id":"e1","action":"push","timestamp":"2026-01-02T03:04:05Z","target":{"mediaType":"application/octet-stream","repository":"app","digest":"sha256:0"},"request":{"host":"Registry.local:5000"}},
 {"id":"e2","action":"push","timestamp":"2026-01-02T03:04:05Z","target":{"mediaType":"application/vnd.oci.image.manifest.v1+json","repository":"app","digest":"sha256:1","tag":"v1"},"request":{"host":"Registry.local:5000"},"actor":{"name":"ci"}},
 {"id":"e3","action":"pull","target":{"mediaType":"application/vnd.oci.image.manifest.v1+json","repository":"app","digest":"sha256:1","tag":"v1"}}]}`

func TestRegistryKeepsOnlyPushedImages(t *testing.T) {
	for bearer, verified := range map[string]string{"tok": events.VerifiedBySender, "": events.VerifiedByNone} {
		route := Route{Provider: "registry", Bearer: bearer}
		req := Request{
			Method: "POST", Header: http.Header{"Authorization": {"Bearer tok"}}, Body: []byte(pushNotification),
		}
		got := Decide(route, req)
		if len(got.Items) != 1 || got.Items[0].ID != "e2" {
			t.Fatalf("%+v", got)
		}
		image := got.Items[0].Image
		if image.Reference() != "registry.local:5000/app@sha256:1" || image.Tag != "v1" || image.Verified != verified ||
			image.Actor != "ci" {
			t.Errorf("%+v", image)
		}
	}
	if got := Decide(
		Route{Provider: "registry", Repositories: []string{"other/*"}},
		Request{Method: "POST", Header: http.Header{}, Body: []byte(pushNotification)},
	); got.Class != "ignored" {
		t.Errorf("another repository: %+v", got)
	}
	if got := Decide(
		Route{Provider: "registry"}, Request{Method: "POST", Header: http.Header{}, Body: []byte("<xml>")},
	); got.Status != 400 {
		t.Errorf("not JSON: %+v", got)
	}
}

// forPush is a payload as the registry documents it, cut to what counts.
type forPush struct {
	name   string
	header http.Header
	body   string
	want   string // registry, repository, tag, digest, actor of each event
	id     string // of the first; empty means any
}

func payloads() []forPush {
	event := func(name string, more ...string) http.Header {
		h := http.Header{}
		h.Set("X-GitHub-Event", name)
		h.Set("X-GitHub-Delivery", "d1")
		for i := 0; i+1 < len(more); i += 2 {
			h.Set(more[i], more[i+1])
		}
		return h
	}
	gitea := http.Header{}
	gitea.Set("X-Gitea-Event", "package")
	gitea.Set("X-Gitea-Delivery", "g1")
	cloud := func(kind string) http.Header {
		h := http.Header{}
		h.Set("Ce-Specversion", "1.0")
		h.Set("Ce-Type", kind)
		h.Set("Ce-Id", "c1")
		return h
	}
	gar := func(text string) string {
		return `{"message":{"data":"` + base64.StdEncoding.EncodeToString(
			[]byte(text),
		) + `","messageId":"m1","publishTime":"2026-01-02T03:04:05Z"},"subscription":"s"}`
	}
	ghcr := `"action":"published","%":{"name":"App","namespace":"Team","package_type":"CONTAINER","owner":{"login":"Team"},"package_version":{"container_metadata":{"tag":{"name":"v1","digest":"sha256:1"},"manifest":{"digest":"sha256:1","media_type":"application/vnd.oci.image.index.v1+json"}}}},"sender":{"login":"me"}}`
	return []forPush{
		{
			"Docker Hub", nil,
			`{"callback_url":"https://x","push_data":{"pushed_at":1417566161,"pusher":"me","tag":"latest"},"repository":{"repo_name":"team/app","namespace":"team","name":"app"}}`,
			"docker.io team/app latest  me\n", "",
		},
		{
			"Alibaba", nil,
			`{"push_data":{"digest":"sha256:1","pushed_at":"2026-01-02 03:04:05","tag":"v1"},"repository":{"repo_full_name":"team/app"}}`,
			" team/app v1 sha256:1 \n", "",
		},
		{"GHCR package", event("package"), "{" + ghcr1(ghcr, "package"), "ghcr.io team/app v1 sha256:1 me\n", "d1"},
		{
			"GHCR registry_package", event("registry_package"), "{" + ghcr1(ghcr, "registry_package"),
			"ghcr.io team/app v1 sha256:1 me\n", "d1",
		},
		{"GHCR of npm", event("package"), `{"action":"published","package":{"name":"a","package_type":"npm"}}`, "", ""},
		{"GHCR ping", event("ping"), `{"zen":"x"}`, "", ""},
		{
			"Harbor", nil,
			`{"type":"PUSH_ARTIFACT","occur_at":1586922308,"operator":"admin","event_data":{"resources":[{"digest":"sha256:1","tag":"v1","resource_url":"harbor.local/team/app:v1"},{"digest":"sha256:2","tag":"sha256:2","resource_url":"harbor.local/team/app@sha256:2"}],"repository":{"repo_full_name":"team/app"}}}`,
			"harbor.local team/app v1 sha256:1 admin\n", "",
		},
		{
			"Harbor delete", nil,
			`{"type":"DELETE_ARTIFACT","event_data":{"resources":[{"digest":"sha256:1"}],"repository":{"repo_full_name":"team/app"}}}`,
			"", "",
		},
		{
			"Harbor CloudEvent", nil,
			`{"specversion":"1.0","id":"u1","type":"harbor.artifact.pushed","time":"2026-01-02T03:04:05Z","data":{"resources":[{"digest":"sha256:1","tag":"v1","resource_url":"harbor.local/team/app:v1"}],"repository":{"repo_full_name":"team/app"}},"operator":"admin"}`,
			"harbor.local team/app v1 sha256:1 admin\n", "",
		},
		{
			"Quay", nil,
			`{"name":"app","repository":"team/app","namespace":"team","docker_url":"quay.io/team/app","homepage":"x","updated_tags":["v1","latest"]}`,
			"quay.io team/app v1  \nquay.io team/app latest  \n", "",
		},
		{
			"old Quay", nil, `{"repository":"team/app","docker_url":"quay.io/team/app","updated_tags":{"v1":"image"}}`,
			"quay.io team/app v1  \n", "",
		},
		{"Quay scan", nil, `{"repository":"team/app","docker_url":"quay.io/team/app","vulnerability":{}}`, "", ""},
		{
			"ECR", nil,
			`{"version":"0","id":"e1","detail-type":"ECR Image Action","source":"aws.ecr","account":"1234","time":"2026-01-02T03:04:05Z","region":"eu-west-1","detail":{"result":"SUCCESS","repository-name":"team/app","image-digest":"sha256:1","action-type":"PUSH","image-tag":"v1"}}`,
			"1234.dkr.ecr.eu-west-1.amazonaws.com team/app v1 sha256:1 \n", "e1",
		},
		{
			"ECR delete", nil,
			`{"detail-type":"ECR Image Action","source":"aws.ecr","detail":{"result":"SUCCESS","repository-name":"team/app","action-type":"DELETE"}}`,
			"", "",
		},
		{
			"Artifact Registry",
			nil,
			gar(
				`{"action":"INSERT","digest":"eu-docker.pkg.dev/p/r/app@sha256:1","tag":"eu-docker.pkg.dev/p/r/app:v1"}`,
			),
			"eu-docker.pkg.dev p/r/app v1 sha256:1 \n",
			"m1",
		},
		{
			"Artifact Registry by digest", nil,
			gar(`{"action":"INSERT","digest":"eu-docker.pkg.dev/p/r/app@sha256:1"}`), "", "",
		},
		{"Artifact Registry delete", nil, gar(`{"action":"DELETE","tag":"eu-docker.pkg.dev/p/r/app:v1"}`), "", ""},
		{"Artifact Registry garbage", nil, `{"message":{"data":"%"},"subscription":"s"}`, "400", ""},
		{
			"ACR", nil,
			`{"id":"a1","timestamp":"2026-01-02T03:04:05Z","action":"push","target":{"mediaType":"application/vnd.docker.distribution.manifest.v2+json","digest":"sha256:1","repository":"app","tag":"v1"},"request":{"host":"x.azurecr.io"}}`,
			"x.azurecr.io app v1 sha256:1 \n", "a1",
		},
		{
			"ACR Event Grid", nil,
			`[{"id":"g1","eventType":"Microsoft.ContainerRegistry.ImagePushed","data":{"id":"a1","action":"push","target":{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:1","repository":"app","tag":"v1"},"request":{"host":"x.azurecr.io"}}}]`,
			"x.azurecr.io app v1 sha256:1 \n", "a1",
		},
		{
			"ACR CloudEvent", nil,
			`{"specversion":"1.0","id":"g1","type":"Microsoft.ContainerRegistry.ImagePushed","data":{"action":"push","target":{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:1","repository":"app","tag":"v1"},"request":{"host":"x.azurecr.io"}}}`,
			"x.azurecr.io app v1 sha256:1 \n", "g1",
		},
		{
			"zot", cloud("zotregistry.image.updated"),
			`{"name":"team/app","reference":"v1","digest":"sha256:1","mediaType":"application/vnd.oci.image.manifest.v1+json","manifest":"x"}`,
			" team/app v1 sha256:1 \n", "c1",
		},
		{
			"zot structured", nil,
			`{"specversion":"1.0","id":"z1","type":"zotregistry.image.updated","data":{"name":"team/app","reference":"sha256:1","digest":"sha256:1"}}`,
			"", "",
		},
		{"zot delete", cloud("zotregistry.image.deleted"), `{"name":"team/app","reference":"v1"}`, "", ""},
		{
			"JFrog", nil,
			`{"domain":"docker","event_type":"pushed","data":{"repo_key":"docker-local","path":"app/v1/manifest.json","name":"manifest.json","sha256":"1","image_name":"app","tag":"v1"},"jpd_origin":"https://x.jfrog.io/artifactory"}`,
			"x.jfrog.io docker-local/app v1 sha256:1 \n", "",
		},
		{
			"JFrog delete", nil,
			`{"domain":"docker","event_type":"deleted","data":{"repo_key":"r","image_name":"app","tag":"v1"}}`, "", "",
		},
		{
			"Gitea", gitea,
			`{"action":"created","package":{"type":"container","name":"app","version":"v1","owner":{"login":"team"},"html_url":"https://git.local/team/-/packages/container/app/v1"},"sender":{"login":"me"}}`,
			"git.local team/app v1  me\n", "g1",
		},
		{
			"Gitea by digest", gitea,
			`{"action":"created","package":{"type":"container","name":"app","version":"sha256:1","owner":{"login":"team"}}}`,
			"", "",
		},
		{"unknown", nil, `{"hello":1}`, "", ""},
		{"a list of what", nil, `[1]`, "400", ""},
	}
}

func ghcr1(text, key string) string {
	head, rest, _ := strings.Cut(text, "%")
	return head + key + rest
}

func TestEveryRegistrySaysTheSame(t *testing.T) {
	for _, c := range payloads() {
		header := c.header
		if header == nil {
			header = http.Header{}
		}
		got := Decide(Route{Provider: "registry"}, Request{Method: "POST", Header: header, Body: []byte(c.body)})
		if c.want == "400" {
			if got.Status != 400 {
				t.Errorf("%s: %+v", c.name, got)
			}
			continue
		}
		text := ""
		for _, i := range got.Items {
			text += fmt.Sprintf(
				"%s %s %s %s %s\n", i.Image.Registry, i.Image.Repository, i.Image.Tag, i.Image.Digest, i.Image.Actor,
			)
			if i.ID == "" || len(i.Image.Raw) == 0 {
				t.Errorf("%s: id %q, raw %q", c.name, i.ID, i.Image.Raw)
			}
		}
		if got.Status != 200 || text != c.want {
			t.Errorf("%s: %d %s\n%s, want\n%s", c.name, got.Status, got.Text, text, c.want)
		}
		if c.id != "" && (len(got.Items) == 0 || got.Items[0].ID != c.id) {
			t.Errorf("%s: id of %+v", c.name, got.Items)
		}
	}
}

func TestATagThatMovesBackIsAnotherEvent(t *testing.T) {
	at := func(seconds string) string {
		body := `{"push_data":{"pushed_at":` + seconds + `,"tag":"latest"},"repository":{"repo_name":"team/app"}}`
		req := Request{Method: "POST", Header: http.Header{}, Body: []byte(body)}
		return Decide(Route{Provider: "registry"}, req).Items[0].ID
	}
	first, again, later := at("1"), at("1"), at("2")
	if first != again || first == later {
		t.Error("an id must stand for one push")
	}
}

func TestWhoVouchesForAPush(t *testing.T) {
	body := []byte(`{"push_data":{"pushed_at":1,"tag":"latest"},"repository":{"repo_name":"team/app"}}`)
	mac := hex.EncodeToString(sign("key", body))
	cases := []struct {
		name   string
		route  Route
		header [2]string
		tail   string
		want   string
	}{
		{"nobody", Route{}, [2]string{}, "", events.VerifiedByNone},
		{"bearer", Route{Bearer: "t"}, [2]string{"Authorization", "Bearer t"}, "", events.VerifiedBySender},
		{"plain header of Harbor", Route{Bearer: "t"}, [2]string{"Authorization", "t"}, "", events.VerifiedBySender},
		{"wrong bearer", Route{Bearer: "t"}, [2]string{"Authorization", "u"}, "", "401"},
		{"GHCR", Route{Secret: "key"}, [2]string{"X-Hub-Signature-256", "sha256=" + mac}, "", events.VerifiedBySender},
		{"JFrog", Route{Secret: "key"}, [2]string{"X-JFrog-Event-Auth", mac}, "", events.VerifiedBySender},
		{"Gitea", Route{Secret: "key"}, [2]string{"X-Gitea-Signature", mac}, "", events.VerifiedBySender},
		{"wrong signature", Route{Secret: "other"}, [2]string{"X-Gitea-Signature", mac}, "", "401"},
		{"no signature", Route{Secret: "key"}, [2]string{}, "", "401"},
		{"path", Route{PathSecret: "p"}, [2]string{}, "p", events.VerifiedBySender},
		{"wrong path", Route{PathSecret: "p"}, [2]string{}, "q", "404"},
		{"no path", Route{PathSecret: "p"}, [2]string{}, "", "404"},
	}
	for _, c := range cases {
		h := http.Header{}
		if c.header[0] != "" {
			h.Set(c.header[0], c.header[1])
		}
		c.route.Provider = "registry"
		got := Decide(c.route, Request{Method: "POST", Header: h, Body: body, Tail: c.tail})
		verified := fmt.Sprint(got.Status)
		if len(got.Items) > 0 {
			verified = got.Items[0].Image.Verified
		}
		if verified != c.want {
			t.Errorf("%s: %s, want %s", c.name, verified, c.want)
		}
	}
}

func TestAManifestMayNameTheForm(t *testing.T) {
	for _, c := range []struct {
		form string
		want int
	}{{"dockerhub", 200}, {"nothing", 503}} {
		got := Decide(
			Route{Provider: "registry", Form: c.form},
			Request{
				Method: "POST",
				Header: http.Header{},
				Body:   []byte(`{"push_data":{"tag":"a"},"repository":{"repo_name":"b"}}`),
			},
		)
		if got.Status != c.want {
			t.Errorf("%s: %+v", c.form, got)
		}
	}
	if got := Forms(); !slices.Contains(got, "quay") || slices.Contains(got, "nothing") {
		t.Errorf("%v", got)
	}
}
