#!/bin/sh
# Builds signed RPM repositories from Debian's packages in /debs, at /srv/rpm, inside an image.
set -eu

top=/build
export GNUPGHOME=/srv/rpm/private
mkdir -p "$top" "$GNUPGHOME"
chmod 700 "$GNUPGHOME"

# thrown away with the image
for who in good other; do
  gpg --batch --quiet --passphrase '' --quick-generate-key "$who@kubenode.test" rsa3072 sign never
  gpg --armor --export "$who@kubenode.test" >"/srv/rpm/$who.asc"
done

# build FOLDER SPEC VERSION TREE: an RPM in a folder of /srv/rpm
build() {
  unit=$4/usr/lib/systemd/system/containerd.service
  [ -e "$unit" ] || unit=$4/lib/systemd/system/containerd.service
  rpmbuild -bb --quiet "/specs/$2.spec" \
    --define "_topdir $top" --define "_rpmdir /srv/rpm/$1" --define '_rpmfilename %{NVRA}.rpm' \
    --define '_build_id_links none' --define 'debug_package %{nil}' \
    --define '__os_install_post %{nil}' --define '_binary_payload w3.zstdio' \
    --define "wanted $3" --define "tree $4" --define "unit $unit"
}
sign() {
  rpmsign --define '_gpg_name good@kubenode.test' --addsign "/srv/rpm/$1"/*.rpm
  createrepo_c --quiet "/srv/rpm/$1"
  gpg --batch --quiet --local-user good@kubenode.test --armor --detach-sign \
    "/srv/rpm/$1/repodata/repomd.xml"
}

build userland userland 1 /nowhere
build distribution slow 1 /nowhere
dpkg-deb --extract /debs/dnf-plugins-core_* "$top/plugins"
build distribution dnf-versionlock 1 "$top/plugins"
for deb in /debs/containerd_*; do
  version=${deb#*_}; version=${version%%[~+-]*}
  tree=$top/tree-$version
  dpkg-deb --extract "$deb" "$tree"
  build distribution containerd "$version" "$tree"
done
for deb in /debs/runc_*; do
  version=${deb#*_}; version=${version%%[~+-]*}
  dpkg-deb --extract "$deb" "$top/tree-runc-$version"
  build distribution runc "$version" "$top/tree-runc-$version"
done
# containerd.io has the runc of its time inside
for both in 1.7.24:1.1.15 2.1.9:1.3.6; do
  tree=$top/tree-${both%:*}
  cp -R "$top/tree-runc-${both#*:}/usr/sbin" "$tree/usr/"
  build docker containerd.io "${both%:*}" "$tree"
done
sign distribution
sign docker
rm -rf "$top"
