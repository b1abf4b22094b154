// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

/// The repository that this test was built from.
enum SourceTree {
    static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()

    /// The Swift and C files that are ours, in the order of their paths.
    static let files: [SourceFile] =
        paths
        .filter { path in
            [".swift", ".c", ".h"].contains { path.hasSuffix($0) }
                && (path == "Package.swift"
                    || ["Sources/", "Examples/", "Tests/", "Benchmarks/", "Fuzzing/"].contains { path.hasPrefix($0) })
        }
        .compactMap { path in text(of: path).map { SourceFile(path: path, text: $0) } }

    /// All files of the repository: what git tracks or would, or whatever lies there where git cannot tell.
    static let paths: [String] = (pathsByGit() ?? pathsByWalking()).sorted()

    static func text(of path: String) -> String? {
        try? String(contentsOf: root.appending(path: path), encoding: .utf8)
    }

    static func size(of path: String) -> Int? {
        try? root.appending(path: path).resourceValues(forKeys: [.fileSizeKey]).fileSize
    }

    private static func pathsByGit() -> [String]? {
        let git = Process()
        git.executableURL = URL(filePath: "/usr/bin/env")
        git.arguments = [
            "git", "-C", root.path(percentEncoded: false),
            "ls-files", "-z", "--cached", "--others", "--exclude-standard",
        ]
        let output = Pipe()
        git.standardOutput = output
        git.standardError = FileHandle.nullDevice
        guard (try? git.run()) != nil, let bytes = try? output.fileHandleForReading.readToEnd() else { return nil }
        git.waitUntilExit()
        guard git.terminationStatus == 0 else { return nil }
        return bytes.split(separator: 0).map { String(decoding: $0, as: UTF8.self) }
    }

    private static func pathsByWalking() -> [String] {
        let walk = FileManager.default.enumerator(atPath: root.path(percentEncoded: false))
        var paths: [String] = []
        while let path = walk?.nextObject() as? String {
            let isDirectory = walk?.fileAttributes?[.type] as? FileAttributeType == .typeDirectory
            if isDirectory,
                [".build", ".git", ".swiftpm"].contains(where: {
                    path.split(separator: "/").last?.hasPrefix($0) == true
                })
            {
                walk?.skipDescendants()
            } else if !isDirectory {
                paths.append(path)
            }
        }
        return paths
    }
}

/// Records an issue for each finding, so that all of them are shown with file and line.
func expectNone(_ findings: [Finding], sourceLocation: SourceLocation = #_sourceLocation) {
    for finding in findings { Issue.record("\(finding)", sourceLocation: sourceLocation) }
}

@Suite("Tidy: the tree that is checked")
struct SourceTreeTests {
    @Test("The checks see the sources of every module, this file too")
    func seesEveryModule() {
        let paths = SourceTree.files.map(\.path)
        for folder in [
            "Sources/CQuernKernels/", "Sources/QuernStore/", "Sources/Quern/", "Examples/", "Tests/QuernTests/",
        ] {
            #expect(paths.contains { $0.hasPrefix(folder) }, "\(folder)")
        }
        #expect(paths.contains("Tests/TidyTests/SourceTree.swift"))
        #expect(paths.contains("Package.swift"))
        #expect(!paths.contains { $0.contains(".build") })
    }
}
