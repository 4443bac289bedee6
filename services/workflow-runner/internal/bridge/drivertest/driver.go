// Package drivertest is an artifact driver as others write them: it serves artifact.ArtifactService of Argo Workflows
// on a socket and keeps artifacts in a folder. Its messages are those of the protocol's own definition, read by the
// protobuf library.
package drivertest

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
)

// Driver keeps artifacts in Folder, by key.
type Driver struct {
	Folder string

	mu    sync.Mutex
	asked []string // METHOD key configuration
}

// Asked is what was asked so far.
func (d *Driver) Asked() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.asked)
}

// Serve answers on a socket until ctx ends.
func (d *Driver) Serve(ctx context.Context, socket string) error {
	l, err := (&net.ListenConfig{}).Listen(ctx, "unix", socket)
	if err != nil {
		return err
	}
	server := grpc.NewServer()
	server.RegisterService(d.service(), d)
	stop := context.AfterFunc(ctx, server.Stop)
	defer stop()
	return server.Serve(l)
}

// service is artifact.ArtifactService.
func (d *Driver) service() *grpc.ServiceDesc {
	desc := &grpc.ServiceDesc{ServiceName: "artifact.ArtifactService", HandlerType: (*any)(nil)}
	messages := messages()
	for name, do := range map[string]func(artifact protoreflect.Message, path string) (any, error){
		"Load": d.load, "Save": d.save, "Delete": d.remove, "ListObjects": d.list,
	} {
		request := map[string]string{"Load": "LoadArtifact", "Save": "SaveArtifact", "Delete": "DeleteArtifact",
			"ListObjects": "ListObjects"}[name]
		desc.Methods = append(desc.Methods, grpc.MethodDesc{MethodName: name,
			Handler: func(_ any, _ context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any,
				error) {
				in, out := dynamicpb.NewMessage(messages.ByName(protoreflect.Name(request+"Request"))),
					dynamicpb.NewMessage(messages.ByName(protoreflect.Name(request+"Response")))
				if err := decode(in); err != nil {
					return nil, err
				}
				return out, d.answer(name, in, out, do)
			}})
	}
	return desc
}

func (d *Driver) answer(method string, in, out *dynamicpb.Message,
	do func(protoreflect.Message, string) (any, error)) error {
	fields := in.Descriptor().Fields()
	var artifact protoreflect.Message
	for _, name := range []protoreflect.Name{"artifact", "input_artifact", "output_artifact"} {
		if f := fields.ByName(name); f != nil {
			artifact = in.Get(f).Message()
		}
	}
	path := ""
	if f := fields.ByName("path"); f != nil {
		path = in.Get(f).String()
	}
	plugin := part(artifact, "plugin").Message()
	d.mu.Lock()
	d.asked = append(d.asked, fmt.Sprintf("%s %s %s", method, part(plugin, "key"), part(plugin, "configuration")))
	d.mu.Unlock()
	answer, err := do(plugin, path)
	if err != nil && status.Code(err) != codes.Unknown {
		return err
	}
	to := out.Descriptor().Fields()
	if f := to.ByName("success"); f != nil {
		out.Set(f, protoreflect.ValueOfBool(err == nil))
	}
	if err != nil {
		out.Set(to.ByName("error"), protoreflect.ValueOfString(err.Error()))
	}
	if names, is := answer.([]string); is {
		list := out.Mutable(to.ByName("objects")).List()
		for _, name := range names {
			list.Append(protoreflect.ValueOfString(name))
		}
	}
	return nil
}

func part(m protoreflect.Message, name protoreflect.Name) protoreflect.Value {
	return m.Get(m.Descriptor().Fields().ByName(name))
}

// at is where an artifact is kept. A driver that nobody configured says so; one that is busy says so by a code.
func (d *Driver) at(plugin protoreflect.Message) (string, error) {
	switch part(plugin, "configuration").String() {
	case "":
		return "", errors.New("no configuration")
	case "busy":
		return "", status.Error(codes.Unavailable, "busy")
	}
	return filepath.Join(d.Folder, filepath.FromSlash(part(plugin, "key").String())), nil
}

func (d *Driver) load(plugin protoreflect.Message, path string) (any, error) {
	from, err := d.at(plugin)
	if err != nil {
		return nil, err
	}
	return nil, copyTree(from, path)
}

func (d *Driver) save(plugin protoreflect.Message, path string) (any, error) {
	to, err := d.at(plugin)
	if err != nil {
		return nil, err
	}
	return nil, errors.Join(os.RemoveAll(to), os.MkdirAll(filepath.Dir(to), 0o755), copyTree(path, to))
}

func (d *Driver) remove(plugin protoreflect.Message, _ string) (any, error) {
	at, err := d.at(plugin)
	if err != nil {
		return nil, err
	}
	return nil, os.RemoveAll(at)
}

func (d *Driver) list(plugin protoreflect.Message, _ string) (any, error) {
	if _, err := d.at(plugin); err != nil {
		return nil, err
	}
	var names []string
	err := filepath.WalkDir(d.Folder, func(file string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		name, err := filepath.Rel(d.Folder, file)
		if strings.HasPrefix(name, part(plugin, "key").String()) {
			names = append(names, filepath.ToSlash(name))
		}
		return err
	})
	return names, err
}

func copyTree(from, to string) error {
	info, err := os.Stat(from)
	if err != nil {
		return err
	}
	if info.IsDir() {
		return os.CopyFS(to, os.DirFS(from))
	}
	raw, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, raw, 0o644)
}

// messages are those of artifact.proto that a driver must know.
func messages() protoreflect.MessageDescriptors {
	text, number, flag := descriptorpb.FieldDescriptorProto_TYPE_STRING, descriptorpb.FieldDescriptorProto_TYPE_INT32,
		descriptorpb.FieldDescriptorProto_TYPE_BOOL
	field := func(name string, at int32, kind descriptorpb.FieldDescriptorProto_Type,
		of string) *descriptorpb.FieldDescriptorProto {
		f := &descriptorpb.FieldDescriptorProto{Name: &name, Number: &at, Type: &kind,
			Label: descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL.Enum()}
		if of == "repeated" {
			f.Label = descriptorpb.FieldDescriptorProto_LABEL_REPEATED.Enum()
		} else if of != "" {
			f.Type, f.TypeName = descriptorpb.FieldDescriptorProto_TYPE_MESSAGE.Enum(), new(".artifact."+of)
		}
		return f
	}
	message := func(name string, fields ...*descriptorpb.FieldDescriptorProto) *descriptorpb.DescriptorProto {
		return &descriptorpb.DescriptorProto{Name: &name, Field: fields}
	}
	done := func(name string) *descriptorpb.DescriptorProto {
		return message(name, field("success", 1, flag, ""), field("error", 2, text, ""))
	}
	file, err := protodesc.NewFile(&descriptorpb.FileDescriptorProto{Name: new("artifact.proto"),
		Package: new("artifact"), Syntax: new("proto3"),
		MessageType: []*descriptorpb.DescriptorProto{
			message("PluginArtifact", field("name", 1, text, ""), field("configuration", 2, text, ""),
				field("connection_timeout_seconds", 3, number, ""), field("key", 4, text, "")),
			message("Artifact", field("name", 1, text, ""), field("path", 2, text, ""), field("mode", 3, number, ""),
				field("from", 4, text, ""), field("plugin", 5, text, "PluginArtifact")),
			message("LoadArtifactRequest", field("input_artifact", 1, text, "Artifact"), field("path", 2, text, "")),
			done("LoadArtifactResponse"),
			message("SaveArtifactRequest", field("path", 1, text, ""), field("output_artifact", 2, text, "Artifact")),
			done("SaveArtifactResponse"),
			message("DeleteArtifactRequest", field("artifact", 1, text, "Artifact")), done("DeleteArtifactResponse"),
			message("ListObjectsRequest", field("artifact", 1, text, "Artifact")),
			message("ListObjectsResponse", field("objects", 1, text, "repeated"), field("error", 2, text, "")),
		}}, nil)
	if err != nil {
		panic(err) // what stands above is wrong
	}
	return file.Messages()
}
