package pull

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/argosy-mesh/argosy/libs/hdfs/hdfstest"
	"github.com/argosy-mesh/argosy/schemas/argoproj/v1alpha1"
)

func TestAFolderOfHDFSIsTold(t *testing.T) {
	n := hdfstest.Start(t)
	n.Put("/in/deep/first", "x")
	n.Put("/in/old.txt", "x")
	r := newRig(t)
	c := v1alpha1.HDFSEventSource{
		Addresses: []string{
			n.Address,
		},
		Directory:     "/in/",
		PathRegexp:    `.*\.txt$`,
		Type:          "CREATE",
		HdfsUser:      hdfstest.User,
		CheckInterval: "20ms",
		Metadata:      map[string]string{"k": "v"},
	}
	stop := r.start(hdfsFolder(c))
	n.Put("/in/deep/new.other", "x")
	n.Put("/in/deep/new.txt", "x")
	e := r.next()
	if e.get("name") != "/in/deep/new.txt" || e.get("op") != "CREATE" || e.get("metadata.k") != "v" || e.id == "" {
		t.Errorf("%+v", e)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
	n.Put("/in/late.txt", "x")
	n.Put("/in/old.txt", "xx") // a WRITE, which nobody asked for
	stop = r.start(hdfsFolder(c))
	if e := r.next(); e.get("name") != "/in/late.txt" {
		t.Errorf("after a restart: %+v", e)
	}
	r.quiet()
	n.Silence()
	if err := stop(); err != nil { // also while the name node keeps silent
		t.Error(err)
	}
}

func TestTheActiveNameNodeIsFound(t *testing.T) {
	n := hdfstest.Start(t)
	n.Put("/in/a", "x")
	r := newRig(t)
	c := v1alpha1.HDFSEventSource{
		Addresses:     []string{"127.0.0.1:1", n.Standby, n.Address},
		Directory:     "/in",
		Path:          "b",
		HdfsUser:      hdfstest.User,
		CheckInterval: "20ms",
	}
	r.start(hdfsFolder(c))
	n.Put("/in/b", "x")
	if e := r.next(); e.get("name") != "/in/b" || e.get("op") != "CREATE" {
		t.Errorf("%+v", e)
	}
}

func TestHDFSThatCannotBeRead(t *testing.T) {
	n, locked := hdfstest.Start(t), hdfstest.Start(t)
	n.Put("/in/a", "x")
	locked.Refuse("getListing", "org.apache.hadoop.security.AccessControlException")
	r := newRig(t)
	good := v1alpha1.HDFSEventSource{
		Addresses: []string{n.Address}, Directory: "/in", Path: "a", HdfsUser: hdfstest.User,
	}
	for name, c := range map[string]struct {
		change func(*v1alpha1.HDFSEventSource)
		says   string
	}{
		"interval":     {func(c *v1alpha1.HDFSEventSource) { c.CheckInterval = "0s" }, "checkInterval"},
		"no interval":  {func(c *v1alpha1.HDFSEventSource) { c.CheckInterval = "soon" }, "checkInterval"},
		"no path":      {func(c *v1alpha1.HDFSEventSource) { c.Path = "" }, "path"},
		"no user":      {func(c *v1alpha1.HDFSEventSource) { c.HdfsUser = "" }, "hdfsUser"},
		"no addresses": {func(c *v1alpha1.HDFSEventSource) { c.Addresses = nil }, "addresses"},
		"no folder":    {func(c *v1alpha1.HDFSEventSource) { c.Directory = "/none" }, "does not exist"},
		"nobody":       {func(c *v1alpha1.HDFSEventSource) { c.Addresses = []string{"127.0.0.1:1"} }, "127.0.0.1:1"},
		"a keytab":     {func(c *v1alpha1.HDFSEventSource) { c.KrbKeytabSecret = ref("user") }, "Kerberos"},
		"tickets":      {func(c *v1alpha1.HDFSEventSource) { c.KrbCCacheSecret = ref("user") }, "Kerberos"},
		"another user": {func(c *v1alpha1.HDFSEventSource) { c.HdfsUser = "guest" }, "AccessControlException"},
		"locked": {
			func(c *v1alpha1.HDFSEventSource) { c.Addresses = []string{locked.Address} },
			"AccessControlException: getListing is refused",
		},
	} {
		config := good
		c.change(&config)
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		if err := hdfsFolder(config).Run(ctx, r.env, r.emit); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
		cancel()
	}
}
