// Renders a Helm chart as `helm template` does: the same template engine, the same functions (Sprig), the same objects. Debian and
// npm have no helm. It validates the values with the library of Helm 3, whose patterns are those of Go. Standard input: {"chart": FOLDER, "name", "namespace", "files", "values": OBJECT}. `files` are YAML files with
// values, and `values` overrides them. Standard output: {"chart", "values", "manifests", "documents", "notes", "error"}: what Chart.yaml
// has, the merged values, the rendered text and its objects, and why they could not be rendered. "invalid" says what the schema refuses.
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"text/template"

	"github.com/Masterminds/sprig"
	"github.com/ghodss/yaml"
	"github.com/xeipuuv/gojsonschema"
)

type input struct {
	Chart     string                 `json:"chart"`
	Name      string                 `json:"name"`
	Namespace string                 `json:"namespace"`
	Files     []string               `json:"files"`
	Values    map[string]interface{} `json:"values"`
}

type metadata struct {
	Name       string `json:"name"`
	Version    string `json:"version"`
	AppVersion string `json:"appVersion"`
}

type output struct {
	Chart     map[string]interface{} `json:"chart"`
	Values    map[string]interface{} `json:"values"`
	Documents []json.RawMessage      `json:"documents"`
	Manifests string                 `json:"manifests"`
	Notes     string                 `json:"notes"`
	Invalid   []string               `json:"invalid"`
	Error     string                 `json:"error,omitempty"`
}

func main() {
	var in input
	check(json.NewDecoder(os.Stdin).Decode(&in))
	out := output{Values: map[string]interface{}{}}
	check(yaml.Unmarshal(read(in.Chart, "Chart.yaml"), &out.Chart))
	check(yaml.Unmarshal(read(in.Chart, "values.yaml"), &out.Values))
	for _, file := range in.Files {
		values := map[string]interface{}{}
		check(yaml.Unmarshal(read("", file), &values))
		merge(out.Values, values)
	}
	merge(out.Values, in.Values)
	if err := validate(in, &out); err != nil {
		out.Error = err.Error()
	} else if err := render(in, &out); err != nil {
		out.Error = err.Error()
	}
	check(json.NewEncoder(os.Stdout).Encode(out))
}

// validate checks the values as Helm does before it renders anything. It fails if the schema itself is not usable.
func validate(in input, out *output) error {
	schema := gojsonschema.NewBytesLoader(read(in.Chart, "values.schema.json"))
	values, err := json.Marshal(out.Values)
	check(err)
	result, err := gojsonschema.Validate(schema, gojsonschema.NewBytesLoader(values))
	if err != nil {
		return fmt.Errorf("values.schema.json cannot be used by Helm: %w", err)
	}
	for _, problem := range result.Errors() {
		out.Invalid = append(out.Invalid, problem.String())
	}
	return nil
}

func render(in input, out *output) error {
	var chart metadata
	check(yaml.Unmarshal(read(in.Chart, "Chart.yaml"), &chart))
	root := template.New("chart").Option("missingkey=zero")
	root.Funcs(functions(root))
	paths, err := filepath.Glob(filepath.Join(in.Chart, "templates", "*"))
	check(err)
	for _, path := range paths {
		content, err := os.ReadFile(path)
		check(err)
		if _, err := root.New(filepath.Base(path)).Parse(string(content)); err != nil {
			return err
		}
	}
	data := map[string]interface{}{
		"Values":  out.Values,
		"Chart":   chart,
		"Release": map[string]interface{}{"Name": in.Name, "Namespace": in.Namespace, "Service": "Helm", "IsInstall": true, "IsUpgrade": false, "Revision": 1},
	}
	for _, path := range paths {
		name := filepath.Base(path)
		if strings.HasPrefix(name, "_") {
			continue
		}
		var buffer bytes.Buffer
		if err := root.ExecuteTemplate(&buffer, name, data); err != nil {
			return err
		}
		text := strings.ReplaceAll(buffer.String(), "<no value>", "")
		if name == "NOTES.txt" {
			out.Notes = text
			continue
		}
		for _, document := range strings.Split("\n"+text, "\n---\n") {
			object, err := yaml.YAMLToJSON([]byte(document))
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			if string(object) != "null" {
				out.Documents = append(out.Documents, object)
				out.Manifests += "---\n" + strings.TrimSpace(document) + "\n"
			}
		}
	}
	return nil
}

// functions returns those of Sprig that Helm has, and those that Helm adds.
func functions(root *template.Template) template.FuncMap {
	all := sprig.TxtFuncMap()
	delete(all, "env")
	delete(all, "expandenv")
	all["include"] = func(name string, data interface{}) (string, error) {
		var text strings.Builder
		err := root.ExecuteTemplate(&text, name, data)
		return text.String(), err
	}
	all["required"] = func(message string, value interface{}) (interface{}, error) {
		if value == nil || value == "" {
			return value, errors.New(message)
		}
		return value, nil
	}
	all["toYaml"] = func(value interface{}) string {
		text, err := yaml.Marshal(value)
		check(err)
		return strings.TrimSuffix(string(text), "\n")
	}
	return all
}

// merge replaces values as Helm does: objects are merged, everything else is replaced, and null removes.
func merge(into, from map[string]interface{}) {
	for key, value := range from {
		object, isObject := value.(map[string]interface{})
		existing, exists := into[key].(map[string]interface{})
		switch {
		case value == nil:
			delete(into, key)
		case isObject && exists:
			merge(existing, object)
		default:
			into[key] = value
		}
	}
}

func read(folder, name string) []byte {
	content, err := os.ReadFile(filepath.Join(folder, name))
	check(err)
	return content
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
