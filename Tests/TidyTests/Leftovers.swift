// SPDX-License-Identifier: Apache-2.0
import Testing

/// What is written on the way and must not stay: notes to oneself, debugging output, traps in place of errors.
enum Leftovers {
    private static let notes = ["FIXME", "TODO", "XXX", "HACK"]
    private static let calls = ["dump("]
    private static let forced = ["try!", "as!"]
    private static let callsInLibraries = ["print(", "debugPrint(", "fatalError("]
    private static let callsInC = ["printf(", "abort("]

    static func findings(in file: SourceFile) -> [Finding] {
        var findings: [Finding] = []
        for index in file.lines.indices {
            for word in words(for: file) where contains(word, in: file.code[index]) {
                findings.append(file.finding(index + 1, "`\(word)` is left over"))
            }
            // These tests name the notes; everywhere else a note is one in a string too.
            if !file.isIn("Tests/TidyTests/") {
                for word in notes where contains(word, in: file.lines[index]) {
                    findings.append(file.finding(index + 1, "the note \(word) belongs into an issue"))
                }
            }
        }
        return findings
    }

    private static func words(for file: SourceFile) -> [String] {
        if file.isC { return callsInC }
        let isLibrary = file.isIn("Sources/", "Examples/DirScan/Kit/") && !file.isIn("Sources/QuernTool/")
        return forced + calls + (isLibrary ? callsInLibraries : [])
    }

    /// Whether the line has the word by itself: no part of a longer name, no method of that name, no declaration.
    private static func contains(_ word: String, in line: String) -> Bool {
        line.ranges(of: word).contains { range in
            let before = line[..<range.lowerBound]
            let after = line[range.upperBound...]
            if before.hasSuffix("func ") { return false }
            if before.hasSuffix("."), !before.hasSuffix("Swift.") { return false }
            let startsAName = before.last.map { !isNameCharacter($0) } ?? true
            let endsAName = word.last.map(isNameCharacter) == true && after.first.map(isNameCharacter) == true
            return startsAName && !endsAName
        }
    }

    private static func isNameCharacter(_ character: Character) -> Bool {
        character.isLetter || character.isNumber || character == "_"
    }
}

@Suite("Tidy: leftovers")
struct LeftoversTests {
    @Test("No notes to oneself, no debugging output, no forced try or cast, no fatalError in libraries")
    func tree() { expectNone(SourceTree.files.flatMap(Leftovers.findings)) }

    @Test(
        "Each of them is found",
        arguments: [
            ("Sources/Quern/A.swift", "// FIXME: later"), ("Tests/QuernTests/A.swift", "let a = \"TODO\""),
            ("Sources/CQuernKernels/a.c", "/* XXX */"), ("Package.swift", "// a HACK"),
            ("Sources/Quern/A.swift", "print(a)"), ("Examples/DirScan/Kit/A.swift", "  Swift.print(a)"),
            ("Sources/QuernStore/A.swift", "debugPrint(a)"), ("Tests/QuernTests/A.swift", "dump(a)"),
            ("Sources/QuernTesting/A.swift", "default: fatalError(\"no\")"), ("Tests/QuernTests/A.swift", "try! a()"),
            ("Sources/QuernTool/A.swift", "a as! B"), ("Sources/CQuernKernels/a.c", "printf(\"a\");"),
        ])
    func found(path: String, line: String) {
        let findings = Leftovers.findings(in: SourceFile(path: path, text: "\n" + line + "\n"))
        #expect(findings.count == 1)
        #expect(findings.first?.description.hasPrefix("\(path):2: ") == true)
    }

    @Test(
        "What only looks like them is not",
        arguments: [
            ("Sources/QuernTool/A.swift", "print(a)"), ("Sources/Quern/A.swift", "/// print(a)"),
            ("Sources/Quern/A.swift", "let text = \"print(a)\""), ("Sources/Quern/A.swift", "blueprint(a)"),
            ("Sources/Quern/A.swift", "page.print(a)"), ("Sources/Quern/A.swift", "func print(_ a: Int) {}"),
            ("Sources/Quern/A.swift", "let TODOS = 1"), ("Tests/QuernTests/A.swift", "fatalError()"),
            ("Sources/Quern/A.swift", "try a() as? B"),
        ])
    func notFound(path: String, line: String) {
        #expect(Leftovers.findings(in: SourceFile(path: path, text: line)).isEmpty)
    }
}
