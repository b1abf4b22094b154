// SPDX-License-Identifier: Apache-2.0
import Testing

/// Dependencies point down: which of our modules may know which.
enum Imports {
    /// A folder, and the modules of ours that its files may import. The first folder that fits counts.
    private static let rules: [(folder: String, allowed: Set<String>)] = [
        ("Sources/CLZ4/", []),
        ("Sources/CQuernKernels/", []),
        ("Sources/QuernStore/", ["CLZ4", "CQuernKernels"]),
        ("Sources/Quern/", ["QuernStore"]),
        ("Sources/QuernJSON/", ["QuernStore", "Quern"]),
        ("Sources/QuernTesting/", ["QuernStore", "Quern"]),
        ("Sources/QuernTool/", ["QuernStore", "Quern"]),
        ("Examples/DirScan/Kit/", ["Quern"]),
        ("Examples/DirScan/Command/", ["DirScanKit", "Quern"]),
        ("Examples/ThumbnailPipeline/Kit/", ["Quern"]),
        ("Examples/ThumbnailPipeline/Command/", ["ThumbnailKit", "Quern", "QuernStore"]),
        ("Tests/", ours),
        ("Benchmarks/", ours),
        ("Fuzzing/", ours),
        ("Package.swift", []),
    ]

    private static let ours: Set<String> = [
        "CLZ4", "CQuernKernels", "QuernStore", "Quern", "QuernJSON", "QuernTesting", "QuernTool", "DirScanKit",
        "dirscan", "ThumbnailKit", "thumbnails", "BuiltPrograms",
    ]

    static func findings(in file: SourceFile) -> [Finding] {
        guard let allowed = rules.first(where: { file.path.hasPrefix($0.folder) })?.allowed else {
            return [
                file.finding(1, "the folder has no rule in Tests/TidyTests/Imports.swift: which modules may it know?")
            ]
        }
        return file.isC ? includeFindings(in: file) : importFindings(in: file, allowed)
    }

    private static func importFindings(in file: SourceFile, _ allowed: Set<String>) -> [Finding] {
        file.code.enumerated().compactMap { index, line in
            guard let module = importedModule(line) else { return nil }
            if ours.contains(module), !allowed.contains(module) {
                return file.finding(index + 1, "\(module) may not be imported here: dependencies point down")
            }
            // Where the system has no essentials of it, these take Foundation whole; who links them asked for that.
            if module == "Foundation", file.isIn("Sources/", "Examples/"),
                !file.isIn("Sources/QuernJSON/", "Examples/ThumbnailPipeline/")
            {
                return file.finding(index + 1, "Foundation costs every program its start-up time and memory")
            }
            return nil
        }
    }

    /// C sources know the headers of their own folder and of the system.
    private static func includeFindings(in file: SourceFile) -> [Finding] {
        let folder = file.path.split(separator: "/").dropLast().filter { $0 != "include" }.joined(separator: "/") + "/"
        return file.lines.enumerated().compactMap { index, line in
            guard let match = line.firstMatch(of: /^\s*#\s*include\s+"([^"]*)"/) else { return nil }
            let isOwn = SourceTree.paths.contains { $0 == folder + match.1 || $0 == folder + "include/" + match.1 }
            return isOwn ? nil : file.finding(index + 1, "\"\(match.1)\" is no header of this module")
        }
    }

    /// The module that a line imports: with attributes, an access level, a declaration of it, or none of these.
    static func importedModule(_ line: String) -> String? {
        let words = line.split(whereSeparator: \.isWhitespace)
            .drop { $0.hasPrefix("@") || ["public", "package", "internal", "fileprivate", "private"].contains($0) }
        guard words.first == "import" else { return nil }
        let name = words.dropFirst()
            .drop { ["struct", "class", "enum", "protocol", "typealias", "func", "var", "let", "actor"].contains($0) }
        return name.first.flatMap { $0.split(whereSeparator: { $0 == "." || $0 == ";" }).first }.map(String.init)
    }
}

@Suite("Tidy: imports")
struct ImportsTests {
    @Test("Dependencies between modules point down, and no library or command imports Foundation")
    func tree() { expectNone(SourceTree.files.flatMap(Imports.findings)) }

    @Test(
        "An import against the direction is found",
        arguments: [
            ("Sources/QuernStore/A.swift", "import Quern"),
            ("Sources/QuernStore/A.swift", "public import QuernTesting"),
            ("Sources/Quern/A.swift", "import QuernJSON"), ("Sources/QuernJSON/A.swift", "import QuernTesting"),
            ("Sources/Quern/A.swift", "import CQuernKernels"), ("Sources/Quern/A.swift", "import QuernTesting"),
            ("Sources/QuernTool/A.swift", "@testable import QuernTesting"),
            ("Sources/Quern/A.swift", "import DirScanKit"),
            ("Sources/QuernTesting/A.swift", "import struct DirScanKit.A"), ("Package.swift", "import Quern"),
            ("Examples/DirScan/Kit/A.swift", "import CLZ4"), ("Sources/Quern/A.swift", "import Foundation"),
            ("Examples/DirScan/Command/A.swift", "internal import Foundation"),
            ("Sources/CQuernKernels/a.c", "#include \"../QuernStore/a.h\""), ("Sources/New/A.swift", "let a = 1"),
        ])
    func found(path: String, line: String) {
        #expect(Imports.findings(in: SourceFile(path: path, text: line)).map(\.line) == [1])
    }

    @Test(
        "An import along it is not",
        arguments: [
            ("Sources/QuernStore/A.swift", "import CQuernKernels"),
            ("Sources/Quern/A.swift", "public import QuernStore"),
            ("Tests/QuernTests/A.swift", "@testable import Quern"), ("Sources/Quern/A.swift", "// import Foundation"),
            ("Sources/QuernJSON/A.swift", "import Foundation"), ("Tests/TidyTests/A.swift", "import Foundation"),
            ("Sources/Quern/A.swift", "import FoundationEssentials"),
            ("Sources/CQuernKernels/a.c", "#include \"CQuernKernels.h\""), ("Sources/CLZ4/a.h", "#include <lz4.h>"),
        ])
    func notFound(path: String, line: String) {
        #expect(Imports.findings(in: SourceFile(path: path, text: line)).isEmpty)
    }

    @Test(
        "A module's name is read off every form of an import",
        arguments: [
            "import Quern", "@testable import Quern", "@_exported public import Quern", "  import Quern  ",
            "import struct Quern.TaskScheduler", "private import func Quern.run", "import Quern;",
        ])
    func everyForm(line: String) { #expect(Imports.importedModule(line) == "Quern") }

    @Test("Other lines import nothing", arguments: ["let a = important", "importModule(Quern)", "", "}"])
    func otherLines(line: String) { #expect(Imports.importedModule(line) == nil) }
}
