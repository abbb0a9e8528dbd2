package component

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

const cassandraVersion = "5.0.9"

// cassandra is cassandra-all with what it needs to run, as jars: Maven Central
// has no binary distribution of 4.1 or 5.0.
var cassandra = Component{
	Name:   "cassandra",
	From:   "Maven: org.apache.cassandra:cassandra-all:" + cassandraVersion,
	recipe: cassandraVersion,
	install: func(i *installation) error {
		if err := need("mvn", "apt-get install maven"); err != nil {
			return err
		}
		pom := filepath.Join(i.work(), "pom.xml")
		if err := os.WriteFile(pom, []byte(cassandraPOM), 0o644); err != nil {
			return err
		}
		jars := filepath.Join(i.dir, "jars")
		i.step("downloading cassandra-all %s and its dependencies (62 MB)", cassandraVersion)
		err := i.exec("mvn", "-B", "-q", "-f", pom, "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies",
			"-DincludeScope=runtime", "-DoutputDirectory="+jars)
		if err != nil {
			return err
		}
		all, err := filepath.Glob(filepath.Join(jars, "*.jar"))
		if err != nil || len(all) == 0 {
			return fmt.Errorf("maven left no jars: %w", err)
		}
		for _, jar := range all {
			for _, foreign := range []string{"-osx-", "-windows-"} {
				if strings.Contains(filepath.Base(jar), foreign) {
					if err := os.Remove(jar); err != nil {
						return err
					}
				}
			}
		}
		return nil
	},
}

const cassandraPOM = `<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>local.test</groupId><artifactId>cassandra-node</artifactId><version>1</version><packaging>pom</packaging>
  <dependencies>
    <dependency>
      <groupId>org.apache.cassandra</groupId><artifactId>cassandra-all</artifactId><version>` + cassandraVersion + `</version>
    </dependency>
  </dependencies>
</project>
`
