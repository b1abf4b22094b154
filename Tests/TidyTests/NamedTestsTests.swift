// SPDX-License-Identifier: Apache-2.0
import Testing

/// Documents that name tests and commands name those that there are.
@Suite struct NamedTestsTests {
    private func words(_ pattern: some RegexComponent<(Substring, Substring)>, in path: String) throws -> Set<String> {
        let text = try #require(SourceTree.text(of: path))
        return Set(text.matches(of: pattern).map { String($0.output.1) })
    }

    @Test(arguments: ["RELIABILITY.md", "Sources/Quern/Quern.docc/Features.md"])
    func filesOfTestsExist(path: String) throws {
        let named = try words(/`([A-Z][A-Za-z]*Tests)`/, in: path)
        #expect(named.count > 5)
        let files = Set(SourceTree.paths.filter { $0.hasPrefix("Tests/") }.compactMap { $0.split(separator: "/").last })
        for name in named.sorted() { #expect(files.contains("\(name).swift"), "\(name)") }
    }

    @Test(arguments: ["RELIABILITY.md", "CONTRIBUTING.md", "Benchmarks/README.md", "Fuzzing/README.md"])
    func commandsExist(path: String) throws {
        let makefile = try #require(SourceTree.text(of: "Makefile"))
        for name in try words(/`make ([a-z-]+)/, in: path).sorted() {
            #expect(makefile.contains("\n\(name):"), "make \(name)")
        }
    }
}
