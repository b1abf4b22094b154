// SPDX-License-Identifier: Apache-2.0
package import Foundation

/// Programs of this package, for tests that run them as processes of their own.
package enum BuiltProgram {
    /// Where a program is that was built with the tests: beside the test bundle. Which of the arguments tells where
    /// that is depends on how the tests are run.
    package static func url(_ name: String) throws -> URL {
        let arguments = CommandLine.arguments
        let bundle = arguments.firstIndex(of: "--test-bundle-path").flatMap { arguments.dropFirst($0 + 1).first }
        for path in [bundle, arguments.first, "/proc/self/exe"].compactMap(\.self) {
            var place = URL(fileURLWithPath: path).resolvingSymlinksInPath()
            while place.path != "/" {
                place.deleteLastPathComponent()
                let candidate = place.appendingPathComponent(name)
                var isDirectory: ObjCBool = false
                // A directory above may have the same name: a clone in a folder `quern`.
                if FileManager.default.fileExists(atPath: candidate.path, isDirectory: &isDirectory),
                    !isDirectory.boolValue, FileManager.default.isExecutableFile(atPath: candidate.path)
                {
                    return candidate
                }
            }
        }
        throw CocoaError(.fileNoSuchFile)
    }
}
