// SPDX-License-Identifier: Apache-2.0
#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// What libFuzzer calls: it has the process's main function.
///
/// `QUERN_FUZZ_TARGET` says which decoder gets the bytes. With `QUERN_FUZZ_SEEDS` the process writes that decoder's
/// seeds into the directory of that name, and ends.
private enum Environment {
    static let target: FuzzTarget = {
        let name = value("QUERN_FUZZ_TARGET") ?? ""
        guard let target = FuzzTarget(rawValue: name) else {
            let names = FuzzTarget.allCases.map(\.rawValue).joined(separator: ", ")
            fatalError("QUERN_FUZZ_TARGET is '\(name)' and none of \(names)")
        }
        return target
    }()

    static func value(_ name: String) -> String? { getenv(name).map { String(cString: $0) } }
}

@_cdecl("LLVMFuzzerInitialize")
public func initialize(
    _: UnsafeMutablePointer<CInt>?, _: UnsafeMutablePointer<UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?>?
) -> CInt {
    if let directory = Environment.value("QUERN_FUZZ_SEEDS") {
        do { print(try SeedFiles.write(for: Environment.target, into: directory), "seeds") } catch {
            fatalError("no seeds: \(error)")
        }
        exit(0)
    }
    return 0
}

@_cdecl("LLVMFuzzerTestOneInput")
public func testOneInput(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    Environment.target.decoder.run(UnsafeRawBufferPointer(start: start, count: count))
    return 0
}
